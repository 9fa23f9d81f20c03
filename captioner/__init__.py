"""Images to descriptions. Runs offline on the captioning machine; only publishing needs the database."""
