"""Compares what libquern.so exports with its public headers.

    tests/api/check_exports.py LIBRARY [--nm NM] [--root FOLDER]

Every exported symbol is a function that quern.h declares, or a member of a class or a function
that another public header declares in namespace quern; every function of quern.h and every
free function of the other headers is exported.
"""
import argparse
import pathlib
import re
import subprocess
import sys

C_FUNCTION = re.compile(r"\b(quern_\w+)\s*\(")
CPP_CLASS = re.compile(r"^(?:template <[^>]*> )?(?:class|struct)(?: \[\[\w+\]\])? (\w+)", re.M)
CPP_FUNCTION = re.compile(r"^(?!using|typedef|#|/|template)[\w:<>,&* ]*?\b(\w+)\(", re.M)
# Declared and not defined, outside of classes: the line begins with the result's type.
CPP_DECLARATION = re.compile(
    r"^(?!inline|constexpr|static|template|using|typedef|extern|friend|return|struct|class|enum|public|private)"
    r"[A-Za-z][\w:<>,&* \n]*?\b(\w+)\((?:[^{};]|{})*\);", re.M)
EXPORTED_CPP = re.compile(r"(?:(?:vtable|typeinfo|typeinfo name|VTT) for )?quern::(\w+)")


def declared_c_functions(root):
    """The functions of quern.h: what is exported with QUERN_API."""
    header = root / "api/include/quern.h"
    if not header.exists():
        return set()
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    return {C_FUNCTION.search(part).group(1) for part in text.split("\nQUERN_API ")[1:]}


def cpp_headers(root):
    """The texts of the public C++ headers."""
    for folder in ("runtime/include/quern", "api/include/quern"):
        for header in (root / folder).glob("*.h"):
            if header.name != "model_abi.h":
                yield header.read_text()


def declared_cpp_names(root):
    """Classes and functions at the outermost level of the public C++ headers."""
    names = set()
    for text in cpp_headers(root):
        names |= set(CPP_CLASS.findall(text)) | set(CPP_FUNCTION.findall(text))
    return names


def declared_cpp_functions(root):
    """Functions at the outermost level that are not defined in the headers."""
    return {name for text in cpp_headers(root) for name in CPP_DECLARATION.findall(text)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2])
    args = parser.parse_args()
    lines = subprocess.run([args.nm, "-D", "--defined-only", "-C", args.library], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    exported = {line.split(" ", 2)[2] for line in lines}
    c_functions, cpp_names = declared_c_functions(args.root), declared_cpp_names(args.root)
    assert {"Model", "Tensor", "dtypeName", "seedRandomOps", "compare"} <= cpp_names
    problems = []
    for symbol in exported:
        match = EXPORTED_CPP.match(symbol)
        if symbol not in c_functions and not (match and match.group(1) in cpp_names):
            problems.append(f"{symbol} is exported, and no public header declares it")
    problems += [f"{name} is declared in quern.h and not exported" for name in c_functions - exported]
    cpp_exports = {match.group(1) for match in map(EXPORTED_CPP.match, exported) if match}
    functions = declared_cpp_functions(args.root)
    assert {"benchmark", "dtypeName", "loadArtifact"} <= functions
    problems += [f"{name} is declared in a public header and not exported (api/quern.map)"
                 for name in functions - cpp_exports]
    print("\n".join(sorted(problems)))
    print(f"{len(exported)} symbols, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
