"""Compiles the client's `.proto` files into the one descriptor set that is committed beside them.

Usage: python scripts/compile_wire.py [OUTPUT]
"""

import sys
from importlib import resources
from pathlib import Path

CLIENT = Path(__file__).resolve().parent.parent / "client"
WIRE = CLIENT / "gannet_client" / "wire"


def compile_wire(output: Path) -> None:
    """Writes the descriptors of all `.proto` files, and of the files they import, to `output`."""
    from grpc_tools import protoc

    google = str(resources.files("grpc_tools") / "_proto")
    sources = [str(path) for path in sorted(WIRE.glob("*.proto"))]
    options = [f"-I{CLIENT}", f"-I{google}", "--include_imports", f"--descriptor_set_out={output}"]
    if protoc.main(["protoc", *options, *sources]) != 0:
        raise SystemExit("protoc refused the files; its message stands above")


if __name__ == "__main__":
    compile_wire(Path(sys.argv[1]) if len(sys.argv) > 1 else WIRE / "gannet.binpb")
