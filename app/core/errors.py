"""Every error that the service raises on purpose, independent of HTTP.

    TranscriptionError
     ├── InvalidRequest(param)        something the caller sent is wrong
     │    ├── AudioUndecodable        no audio stream, or none that decodes
     │    ├── AudioTooShort           under a tenth of a second
     │    ├── AudioTooLong            over the configured length
     │    ├── UnsupportedContentType  the body's content type is not supported
     │    └── UnsupportedValue        a known value that this server does not support
     ├── TooLarge                     more bytes than allowed
     ├── UploadStalled                the client stopped sending
     ├── UnknownModel                 no such model here
     ├── Unauthorized                 no key, or a wrong one
     ├── TierNotAllowed               the key may not use this tier
     ├── KeyLimitReached(retry_after_s)  a limit of the key: requests per minute, or at the same time
     │    └── AudioQuotaUsed          the key's audio of the day
     ├── Overloaded(retry_after_s)    every slot and every place in the queue is taken
     │    ├── TooManyConnections      this process has as many connections as it allows
     │    └── MemoryFull              uploads, decoded audio or the device fill the memory
     ├── NotReady(retry_after_s)      the model is still loading
     ├── ShuttingDown(retry_after_s)  the process is draining
     │    └── DeviceLost              its device has failed, and a supervisor replaces it
     ├── Cancelled                    the caller has left; the answer would not be read
     └── EngineFailure                a bug or a broken device; the cause is logged, never sent

    StartupError                      the process cannot start: one line, then exit

A message says what was wrong, with which value, and the remedy; it is written for the caller.
"""

from __future__ import annotations

from typing import Literal


class TranscriptionError(Exception):
    """Root of everything a request can fail with; `message` is safe to show to the caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(TranscriptionError):
    """The caller sent something that can never work; `param` names the field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class AudioUndecodable(InvalidRequest):
    """The upload holds no audio that can be decoded."""

    def __init__(self, message: str) -> None:
        super().__init__(message, param="file")


class AudioTooShort(InvalidRequest):
    """The audio is shorter than a tenth of a second."""

    def __init__(self, message: str) -> None:
        super().__init__(message, param="file")


class AudioTooLong(InvalidRequest):
    """The audio is longer than the configured limit."""

    def __init__(self, message: str) -> None:
        super().__init__(message, param="file")


class UnsupportedContentType(InvalidRequest):
    """The content type of the request's body is not supported."""


class UnsupportedValue(InvalidRequest):
    """A known value that this server does not support."""


class TooLarge(TranscriptionError):
    """The upload has more bytes than allowed."""


class UploadStalled(TranscriptionError):
    """The client stopped sending before its upload was complete."""


class UnknownModel(TranscriptionError):
    """No model of that name is served here."""


class Unauthorized(TranscriptionError):
    """No key was sent (`presented` is False), or a wrong one."""

    def __init__(self, message: str, *, presented: bool) -> None:
        super().__init__(message)
        self.presented = presented


class TierNotAllowed(TranscriptionError):
    """The key may not use the tier that the request asks for."""


class RetryLater(TranscriptionError):
    """No work was done: the same request may be sent again."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class KeyLimitReached(RetryLater):
    """A limit of the caller's key; `limit` says which one."""

    def __init__(self, message: str, *, limit: Literal["requests", "concurrent", "audio"], retry_after_s: int) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.limit = limit


class AudioQuotaUsed(KeyLimitReached):
    """The key has used all of its audio for this day."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message, limit="audio", retry_after_s=retry_after_s)


class Overloaded(RetryLater):
    """Every slot, and every place in the queue, is taken."""


class TooManyConnections(Overloaded):
    """This process has as many connections as it allows."""


class MemoryFull(Overloaded):
    """Uploads, decoded audio or the device's work fill the memory."""


class NotReady(RetryLater):
    """The model is loading or warming up."""


class ShuttingDown(RetryLater):
    """The process is draining and takes no new work."""


class DeviceLost(ShuttingDown):
    """The device has failed; the process is about to be replaced."""


class StorageFull(RetryLater):
    """There is no room on disk for the upload."""


class Cancelled(TranscriptionError):
    """The caller hung up; the work was stopped."""

    def __init__(self, message: str = "The caller has gone.") -> None:
        super().__init__(message)


class EngineFailure(TranscriptionError):
    """A bug or a broken device. The cause is logged with the request id and never sent."""


class StartupError(Exception):
    """The process cannot start. The message is one line: the value at fault and the remedy."""
