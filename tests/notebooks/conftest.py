"""The example of docs/WRITING_LESSONS.md, built as a real notebook: what the page says is what the tools do."""

from __future__ import annotations

import pytest
from course import Example, write_example

from tools import notebooks


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    source = write_example(tmp_path_factory.mktemp("course") / "notebooks")
    notebooks.build(source)
    return Example(source)
