"""What NVIDIA's Python bindings say of themselves, and what a module of ours calls of them."""

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

# The bindings are linked to libraries of gigabytes, of which they call these functions when they are used. To look at
# the bindings, it is enough that there are such names.
_EXPORTS = """
void *createInferBuilder_INTERNAL() { return 0; }
void *createInferRefitter_INTERNAL() { return 0; }
void *createInferRuntime_INTERNAL() { return 0; }
void *createNvOnnxParserRefitter_INTERNAL() { return 0; }
void *createNvOnnxParser_INTERNAL() { return 0; }
void *getBuilderPluginRegistry() { return 0; }
void *getPluginRegistry() { return 0; }
int getNvOnnxParserVersion() { return 0; }
int initLibNvInferPlugins() { return 0; }
"""

_DUMP = """
import json, tensorrt_bindings as trt
members = {}
for name in dir(trt):
    kind = getattr(trt, name)
    if isinstance(kind, type):
        values = {}
        for part in dir(kind):
            value = getattr(kind, part, None)
            settable = isinstance(value, property) and value.fset is not None
            values[part] = [getattr(value, "__doc__", None) or "", settable]
            if isinstance(value, type):
                members[f"{name}.{part}"] = {inner: ["", False] for inner in dir(value)}
        members[name] = values
    else:
        members[name] = {}
print(json.dumps(members))
"""

type Members = Mapping[str, Mapping[str, tuple[str, bool]]]
"""For each class, by member name: the documented type, and whether the member can be set."""


def read_bindings(folder: Path) -> Members:
    """The classes of the installed bindings; skips the test if they are not installed or cannot be loaded here."""
    compiler = shutil.which("cc")
    if find_spec("tensorrt_bindings") is None:
        pytest.skip("TensorRT's Python bindings are not installed (tensorrt-cu13-bindings)")
    if compiler is None or sys.platform != "linux":
        pytest.skip("there is no C compiler to make what the bindings are linked to")
    major = version("tensorrt-cu13-bindings").split(".")[0]
    source = folder / "exports.c"
    source.write_text(_EXPORTS)
    for library in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        name = f"lib{library}.so.{major}"
        command = [compiler, "-shared", "-fPIC", "-w", f"-Wl,-soname,{name}", "-o", str(folder / name), str(source)]
        subprocess.run(command, check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", _DUMP], env=environment, capture_output=True, text=True, check=True)
    members: Members = json.loads(done.stdout)
    return members


@dataclass
class Uses:
    """What a module does with the bindings, and what of it they do not have."""

    calls: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def check_uses(source: str, members: Members, known: Mapping[str, str]) -> Uses:
    """Follow the values of the bindings' classes through ``source``.

    Args:
        source: Of a module that knows the bindings by the name ``trt``.
        members: What they have.
        known: Classes of values that come from elsewhere, such as parameters, by how they are written.
    """
    uses = Uses()
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.ClassDef):
            _check_overrides(function, members, uses)
        if isinstance(function, ast.FunctionDef):
            _Function(members, known, uses).check(function)
    return uses


class _Function:
    def __init__(self, members: Members, known: Mapping[str, str], uses: Uses) -> None:
        self._members = members
        self._kinds = dict(known)
        self._uses = uses

    def check(self, function: ast.FunctionDef) -> None:
        for node in _in_order(function):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    kind = self._kind(value)
                    if kind:
                        self._kinds[name] = kind
                case ast.Assign(targets=[ast.Attribute(value=owner, attr=attribute)]):
                    kind = self._kind(owner)
                    if kind:
                        self._note(f"{kind}.{attribute} =", self._member(kind, attribute)[1])
                case ast.Call(func=ast.Attribute(value=owner, attr=method)):
                    self._check_call(node, owner, method)
                case ast.Attribute(value=owner, attr=attribute):
                    self._check_attribute(owner, attribute)

    def _check_call(self, call: ast.Call, owner: ast.expr, method: str) -> None:
        if ast.unparse(owner) == "trt":
            self._check_arguments(call, f"trt.{method}", self._member(method, "__init__")[0], method in self._members)
            return
        kind = self._kind(owner)
        if kind or ast.unparse(owner).startswith("trt."):
            kind = kind or ast.unparse(owner).removeprefix("trt.")
            exists = method in self._members.get(kind, {})
            self._check_arguments(call, f"{kind}.{method}", self._member(kind, method)[0], exists)

    def _check_arguments(self, call: ast.Call, name: str, words: str, exists: bool) -> None:
        unbound = name.endswith(".__init__")  # called with self, as a base class
        given = [object()] * (len(call.args) + (not unbound))
        named = {keyword.arg: object() for keyword in call.keywords if keyword.arg}
        fits = False
        for signature in _signatures(words):
            try:
                signature.bind(*given, **named)
            except TypeError:
                continue
            fits = True
        self._note(f"{name}({len(call.args)}, {', '.join(named)})", exists and fits)

    def _check_attribute(self, owner: ast.expr, attribute: str) -> None:
        written = ast.unparse(owner)
        if written == "trt":
            self._note(f"trt.{attribute}", attribute in self._members or attribute == "__version__")
        elif written.startswith("trt."):
            kind = written.removeprefix("trt.")
            self._note(f"{written}.{attribute}", attribute in self._members.get(kind, {}))
        elif known := self._kind(owner):
            self._note(f"{known}.{attribute}", attribute in self._members[known])

    def _kind(self, value: ast.expr) -> str | None:
        """The class of a value: that of a name, or the documented result of a call."""
        written = ast.unparse(value)
        if written in self._kinds:
            return self._kinds[written]
        match value:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="trt"), attr=name)) if name in self._members:
                return name
            case ast.Call(func=ast.Attribute(value=owner, attr=method)):
                kind = self._kind(owner)
                given = re.search(r"-> [\w.]*?(\w+)\s*$", self._member(kind, method)[0], re.MULTILINE) if kind else None
                return given[1] if given and given[1] in self._members else None
        return None

    def _member(self, kind: str | None, name: str) -> tuple[str, bool]:
        return self._members.get(kind or "", {}).get(name, ("", False))

    def _note(self, use: str, is_there: bool) -> None:
        (self._uses.calls if is_there else self._uses.wrong).append(use)


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, statements in the order of their lines."""
    for child in ast.iter_child_nodes(node):
        yield child
        yield from _in_order(child)


def _check_overrides(defined: ast.ClassDef, members: Members, uses: Uses) -> None:
    """Methods that the bindings call must have their parameters."""
    for base in defined.bases:
        kind = ast.unparse(base).removeprefix("trt.")
        if not ast.unparse(base).startswith("trt."):
            continue
        for method in defined.body:
            if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                words = members.get(kind, {}).get(method.name, ("", False))[0]
                ours = [argument.arg for argument in method.args.args]
                theirs = [list(signature.parameters) for signature in _signatures(words)]
                (uses.calls if ours in theirs else uses.wrong).append(f"{kind}.{method.name}{tuple(ours)}")


def _signatures(words: str) -> list[inspect.Signature]:
    """Those in a docstring of pybind11, one for each overload."""
    found = []
    for line in re.findall(r"^(?:\d+\. )?\w+\((self: .*)\) -> .*$", words, re.MULTILINE):
        parameters = []
        for part in re.split(r", (?=\w+: )", line):
            default = None if " = " in part else inspect.Parameter.empty
            name = part.split(":")[0]
            parameters.append(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default))
        found.append(inspect.Signature(parameters))
    return found
