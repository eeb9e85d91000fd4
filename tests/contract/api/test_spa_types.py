"""The dashboard's types are those of openapi.json as it is written down."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
CODEGEN: Final = ROOT / "tools" / "codegen"
WRITTEN_DOWN: Final = ROOT / "frontend" / "src" / "lib" / "api-schema.ts"


@pytest.fixture
def generator() -> Path:
    """openapi-typescript, as its lock file has it."""
    if not (CODEGEN / "node_modules" / "openapi-typescript").is_dir():
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(npm, cwd=CODEGEN, check=True)
    return CODEGEN / "node_modules" / ".bin" / "openapi-typescript"


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
def test_make_schema_would_change_nothing(generator: Path, tmp_path: Path) -> None:
    document = ROOT / "services" / "metrics_api" / "schema" / "openapi.json"
    made = tmp_path / "api-schema.ts"
    subprocess.run([generator, document, "--output", made, "--alphabetize"], check=True, capture_output=True)
    assert made.read_text() == WRITTEN_DOWN.read_text(), "run: make schema"
