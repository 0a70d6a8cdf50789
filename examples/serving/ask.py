"""Asks a server of the Open Inference Protocol about images of digits.

    ask.py [--url URL] [--version VERSION] [--count N]

Prints the digits that it sees, and what it says of an image of a wrong shape. The protocol is JSON
over HTTP, so nothing but NumPy is needed; tritonclient sends the numbers as bytes, which is faster.
"""
import argparse
import json
import pathlib
import time
import urllib.error
import urllib.request

import numpy as np

IMAGES = pathlib.Path(__file__).resolve().parents[1] / "digits" / "images.npy"


def ask(url, array):
    """(status, answer)"""
    message = {"inputs": [{"name": "image", "datatype": "FP32", "shape": list(array.shape),
                           "data": array.reshape(-1).tolist()}]}
    request = urllib.request.Request(f"{url}/infer", json.dumps(message).encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def wait_for(url):
    """Until the model is there: servers take a moment to start."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=10):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"there is nothing at {url}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:18300")
    parser.add_argument("--version", help="default: the newest")
    parser.add_argument("--count", type=int, default=5)
    given = parser.parse_args()
    model = f"{given.url}/v2/models/digits" + (f"/versions/{given.version}" if given.version else "")
    wait_for(model)
    images = np.load(IMAGES)[:given.count].astype("f4")
    status, answer = ask(model, images)
    (scores,) = answer["outputs"]
    digits = np.reshape(scores["data"], scores["shape"]).argmax(axis=1)
    print(f"{status}, version {answer['model_version']}: {digits}")
    status, answer = ask(model, images.reshape(given.count, 64))
    print(f"{status}: {answer['error']}")


if __name__ == "__main__":
    main()
