"""An import contract that reads one table: each vendor is imported by the modules of its line and by no other."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

_ANY_BELOW = ".**"


class DoorsContract(Contract):
    """Each line of `doors` is `vendor: module, module`; `package.**` is every module of a package."""

    doors = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Broken by an import that goes around a door, and by a door that nothing goes through."""
        broken = [
            fault
            for vendor, allowed in map(_parsed, self.doors)  # type: ignore[arg-type, call-overload]
            for fault in _faults(vendor, allowed, _importers(graph, vendor))
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line for each fault."""
        for fault in check.metadata["broken"]:
            output.print_error(fault)


def _parsed(line: str) -> tuple[str, list[str]]:
    vendor, _, modules = line.partition(":")
    return vendor.strip(), [one.strip() for one in modules.split(",")]


def _importers(graph: ImportGraph, vendor: str) -> set[str]:
    """Our modules that import the vendor; it is squashed in the graph, so that its own modules do not appear."""
    return graph.find_modules_that_directly_import(vendor) if vendor in graph.modules else set()


def _faults(vendor: str, allowed: list[str], importers: set[str]) -> list[str]:
    around = [one for one in sorted(importers) if not any(_is_in(one, door) for door in allowed)]
    unused = [door for door in allowed if not any(_is_in(one, door) for one in importers)]
    return [
        *(f"{vendor}: {module} imports it; go through {', '.join(allowed)}" for module in around),
        *(f"{vendor}: {door} does not import it; take it out of the table" for door in unused),
    ]


def _is_in(module: str, door: str) -> bool:
    package = door.removesuffix(_ANY_BELOW)
    return module == door or (package != door and (module == package or module.startswith(f"{package}.")))
