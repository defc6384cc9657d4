"""Images in messages, as content parts of the chat-completions protocol."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from opto.errors import InvalidArgument

Image: TypeAlias = "str | bytes | Path"
_KINDS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}


def content(text: str | list[Any], images: Sequence[Image] = ()) -> str | list[dict[str, Any]]:
    """What a message says: the text alone, or parts if there are images.

    Args:
        text: the words, or content parts of their own.
        images: URLs, paths, or the bytes of PNG, JPEG, GIF or WebP files.
    """
    if not images:
        return text
    said = text if isinstance(text, list) else [{"type": "text", "text": text}]
    return [*said, *(image_part(image) for image in images)]


def image_part(image: Image) -> dict[str, Any]:
    """The content part of one image; files are sent within the message.

    Raises:
        InvalidArgument: if it is no image of a known kind.
    """
    if isinstance(image, str) and image.startswith(("https://", "http://", "data:image/")):
        return {"type": "image_url", "image_url": {"url": image}}
    data = image if isinstance(image, bytes) else Path(image).read_bytes()
    kind = next((kind for begin, kind in _KINDS.items() if data.startswith(begin)), None)
    if kind is None:
        shown = f"{len(data)} bytes" if isinstance(image, bytes) else repr(str(image))
        message = f"{shown} is no PNG, JPEG, GIF or WebP image"
        raise InvalidArgument(message)
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}
