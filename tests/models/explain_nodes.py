"""Every node of a model is named by exactly one step of its plan, or said to be something else.

    tests/models/explain_nodes.py [MODEL...]    default: a ResNet-50, BERTs and quantized MobileNets

The models lie in ../shared/models (QUERN_SHARED names another place for shared); where they are
absent the test says "skipped" and ends with exit code 77.
"""
import collections
import json
import re
import subprocess
import sys

import onnx

import exported

MODELS = ["light/light_resnet50", "exported/bert_opset16", "exported/bert_opset17",
          "exported/mobilenet_v2_quarter_qdq", "exported/mobilenet_v2_quarter_qoperator"]


def labels(nodes):
    """What Quern calls nodes, with those in their bodies; of one name all but the first have a
    number behind it."""
    for i, node in enumerate(nodes):
        yield node.name or f"{node.op_type}_{i}"
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from labels(attribute.g.node)


def what_is_wrong(model, report):
    nodes, plan = report["nodes"], report["plan"]
    found = collections.Counter(node["name"] for node in nodes)
    wanted = collections.Counter(labels(model.graph.node))
    of_labels = collections.Counter(name if name in wanted else re.sub(r"#\d+$", "", name)
                                    for name in found)
    by_steps = collections.Counter(name for step in plan for name in step["nodes"])
    if of_labels != wanted:
        return f"missing {list(wanted - of_labels)[:5]}, unknown {list(of_labels - wanted)[:5]}"
    if max(found.values()) > 1 or (by_steps and max(by_steps.values()) > 1):
        return f"named twice: {(found | by_steps).most_common(3)}"
    for node in nodes:
        if (node["fate"] == "step") != (node["name"] in by_steps):
            return f"{node} and the steps differ"
        if node["fate"] == "step" and node["name"] not in plan[node["step"]]["nodes"]:
            return f"{node} is not in its step"
        if node["fate"] == "unused":
            return f"{node}: an output depends on it"
    return ""


def check(args, path, _):
    done = subprocess.run([args.quern, "check", "--json", path], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode != 0:
        return f"quern check ended with {done.returncode}: {done.stderr}", ""
    report = json.loads(done.stdout)
    fates = collections.Counter(node["fate"] for node in report["nodes"])
    return what_is_wrong(onnx.load(path, load_external_data=False), report), dict(fates)


if __name__ == "__main__":
    if len([a for a in sys.argv[1:] if a.endswith(".onnx")]) == 0:
        shared = exported.SHARED / "models"
        present = [str(shared / f"{name}.onnx") for name in MODELS
                   if (shared / f"{name}.onnx").is_file()]
        if not present:
            print(f"skipped: no model in {shared}")
            sys.exit(exported.EXIT_SKIPPED)
        sys.argv += present
    sys.exit(exported.run(__doc__, check))
