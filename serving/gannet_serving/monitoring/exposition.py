"""Metrics as Prometheus reads them, under the names that they have."""

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(registry: CollectorRegistry) -> str:
    """Every metric of a registry in Prometheus' text format.

    >>> exposition(CollectorRegistry())
    ''
    """
    lines = []
    for metric in registry.collect():
        if metric.samples:
            name = metric.samples[0].name if metric.type == "counter" else metric.name
            lines += [f"# HELP {name} {_one_line(metric.documentation)}", f"# TYPE {name} {metric.type}"]
            lines += [_line(sample) for sample in metric.samples]
    return "".join(f"{line}\n" for line in lines)


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sample.labels.items())
    return f"{sample.name}{{{labels}}} {_number(sample.value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _one_line(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
