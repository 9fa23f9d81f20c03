"""How uvicorn speaks HTTP, where a request that is not let in is refused as soon as its head was read.

The long way through a task and the app costs several times as much, and under overload most requests are refused. What
this refuses, `app.watch` would have refused with the same words. It leaves to it all that is not plain: a connection's
first request, one that came before the last one was answered, one of a browser's script from elsewhere.

uvicorn takes it as `http="app.refusing:RefusingProtocol"`.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.admission import ALWAYS, BUSY, Admission, Exchange

_ALWAYS = frozenset(path.encode() for path in ALWAYS)
_BUSY = STATUS_LINE[BUSY.status_code] + b"".join(b"%b: %b\r\n" % header for header in BUSY.raw_headers)


class RefusingProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._admission = _admission_of(self.app)

    def on_headers_complete(self) -> None:
        if self._admission.is_full and self._is_plain():
            self._refuse()
        else:
            super().on_headers_complete()

    def _is_plain(self) -> bool:
        """Would what follows this head be left unread once it is answered, and nobody else be asked first?"""
        return (
            self.cycle is not None
            and self.cycle.response_complete
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and self.url.partition(b"?")[0] not in _ALWAYS
            and all(name != b"origin" for name, _ in self.headers)
        )

    def _refuse(self) -> None:
        exchange = Exchange.of(self.headers)
        own = b"".join([b"%b: %b\r\n" % header for header in self.server_state.default_headers])
        self.transport.write(b"%b%bx-request-id: %b\r\n\r\n%b" % (_BUSY, own, exchange.request_id.encode(), BUSY.body))
        self._admission.refused(self.parser.get_method().decode("ascii"), exchange)
        self.on_response_complete()


def _admission_of(app: Any) -> Admission:
    """That of the app, whatever uvicorn has put around it."""
    while not hasattr(app, "state"):
        app = app.app
    admission: Admission = app.state.admission
    return admission
