"""A contract of import-linter: the longest chain of imports within a package."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class DepthContract(Contract):  # type: ignore[misc]  # import-linter has no types
    """No module of the package is farther than so many modules from what it imports within the package."""

    package = fields.StringField()
    most = fields.IntegerField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 (import-linter's)
        """Find the longest chain."""
        chain = longest_chain(graph, str(self.package))
        return ContractCheck(kept=len(chain) <= int(self.most), metadata={"chain": chain})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Show it."""
        output.print_error(" -> ".join(check.metadata["chain"]))


def longest_chain(graph: ImportGraph, package: str) -> list[str]:
    """The longest chain of modules of a package of which each imports the next; cycles are not followed."""
    modules = {one for one in graph.modules if f"{one}.".startswith(f"{package}.")}
    found: dict[str, list[str]] = {}

    def chain_from(module: str, above: frozenset[str]) -> list[str]:
        if module not in found:
            below = (graph.find_modules_directly_imported_by(module) & modules) - above
            chains = (chain_from(one, above | {module}) for one in sorted(below))
            found[module] = [module, *max(chains, key=len, default=[])]
        return found[module]

    return max((chain_from(one, frozenset()) for one in sorted(modules)), key=len, default=[])
