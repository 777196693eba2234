"""The workspace keeps its shape: one namespace over three distributions."""

from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
SOURCES = ("libs/common/src", "services/receiver/src", "services/registrar/src")


@pytest.mark.parametrize("source", SOURCES)
def test_the_namespace_belongs_to_no_distribution(source: str) -> None:
    assert (CHECKOUT / source / "lapidicom").is_dir()
    assert not (CHECKOUT / source / "lapidicom" / "__init__.py").exists()


@pytest.mark.parametrize("source", SOURCES)
def test_each_package_of_a_distribution_has_its_own_init(source: str) -> None:
    modules = (CHECKOUT / source / "lapidicom").rglob("*.py")
    assert [str(path) for path in modules if not (path.parent / "__init__.py").exists()] == []


def test_no_two_distributions_own_one_package() -> None:
    packages = [path.name for source in SOURCES for path in (CHECKOUT / source / "lapidicom").iterdir()]
    owned = [name for name in packages if name != "__pycache__"]
    assert sorted(owned) == sorted(set(owned))
