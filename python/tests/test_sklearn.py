"""Fitted scikit-learn estimators."""
import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import quern


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 4)).astype("f4")
    return x, x[:, 0] + 2 * x[:, 1]


def test_regression(data):
    x, y = data
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(x, y)
    np.testing.assert_allclose(quern.compile(pipeline)(x).ravel(), pipeline.predict(x),
                               rtol=1e-3, atol=1e-4)


def test_classification(data):
    x, y = data
    forest = GradientBoostingClassifier(n_estimators=20).fit(x, y > 0)
    labels, probabilities = quern.compile(forest, x[:1])(x)
    assert (labels.astype(bool) == forest.predict(x)).mean() > 0.99
    assert np.isclose(probabilities, forest.predict_proba(x), atol=1e-4).mean() > 0.99


def test_not_fitted():
    with pytest.raises(quern.UsageError, match="LinearRegression is not fitted"):
        quern.compile(LinearRegression())
