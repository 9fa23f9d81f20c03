.PHONY: browser
browser: ## A real Chromium for the tests of the pages
	@command -v chromium > /dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium > /dev/null; \
	  else echo "Chromium is missing. Run: sudo apt-get install chromium" >&2; exit 3; fi; }
