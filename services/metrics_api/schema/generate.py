"""Write the API's descriptions beside this file: `make schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from weir.metrics_api.graphql.schema import Graph
from weir.metrics_api.rest import openapi

FOLDER: Final = Path(__file__).parent


def main() -> None:
    (FOLDER / "openapi.json").write_text(openapi.text(), encoding="utf-8")
    (FOLDER / "schema.graphql").write_text(Graph().sdl, encoding="utf-8")


if __name__ == "__main__":
    main()
