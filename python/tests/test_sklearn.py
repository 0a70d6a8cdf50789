"""Fitted estimators of scikit-learn, LightGBM and XGBoost."""
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
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


def test_numbers_of_any_type(data):
    """As estimators take them; a model of another kind is exact about types."""
    x, y = data
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(x, y)
    wanted = pipeline.predict(x)
    model = quern.compile(pipeline)
    for given in (x.astype("f8"), x.astype("f8").tolist(), np.asfortranarray(x.astype("f8"))):
        np.testing.assert_allclose(model(given).ravel(), wanted, rtol=1e-3, atol=1e-4)
    whole = (10 * x).astype("i8")
    np.testing.assert_allclose(model(whole).ravel(), pipeline.predict(whole), rtol=1e-3, atol=1e-3)
    (result,) = model.run(None, {"X": x.astype("f8")})
    np.testing.assert_allclose(result.ravel(), wanted, rtol=1e-3, atol=1e-4)
    for wrong in (x.astype("c16"), x.astype("U")):
        with pytest.raises(quern.InvalidInputError, match="input 'X'"):
            model(wrong)
    exact = quern.compile(quern.sources.serialized(pipeline))
    with pytest.raises(quern.InvalidInputError, match="float64"):
        exact(x.astype("f8"))


def test_dataframes(data):
    pandas = pytest.importorskip("pandas")
    x, y = data
    frame = pandas.DataFrame(x.astype("f8"), columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(frame, y)
    np.testing.assert_allclose(quern.compile(pipeline)(frame).ravel(), pipeline.predict(frame),
                               rtol=1e-3, atol=1e-4)


def test_from_the_cache(data, tmp_path, monkeypatch):
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path))
    x, y = data
    model = LinearRegression().fit(x, y)
    for _ in range(2):
        compiled = quern.compile(model, cache=True, shapes={"X": x.shape})
        np.testing.assert_allclose(compiled(x.astype("f8")).ravel(), model.predict(x), rtol=1e-3,
                                   atol=1e-4)


def boosters():
    """(package, estimator, is a classifier)"""
    for package, names in (("lightgbm", ("LGBMClassifier", "LGBMRegressor")),
                           ("xgboost", ("XGBClassifier", "XGBRegressor", "XGBRFRegressor"))):
        for name in names:
            yield pytest.param(package, name, id=name)


@pytest.mark.parametrize("package, name", boosters())
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_boosters(data, package, name, in_pipeline):
    kind = getattr(pytest.importorskip(package), name)
    pytest.importorskip("onnxmltools")
    x, y = data
    options = {"n_estimators": 5, **({"verbose": -1} if package == "lightgbm" else {})}
    model = make_pipeline(StandardScaler(), kind(**options)) if in_pipeline else kind(**options)
    model.fit(x, y > 0 if "Classifier" in name else y)
    # Other data: thresholds are values of the data that was learnt from, and scaled ones round.
    x = np.random.default_rng(1).normal(size=x.shape).astype("f4")
    result = quern.compile(model)(x.astype("f8"))
    if "Classifier" in name:
        np.testing.assert_allclose(result[1], model.predict_proba(x), atol=1e-4)
    else:
        np.testing.assert_allclose(result.ravel(), model.predict(x), rtol=1e-3, atol=1e-4)


def test_frames_are_examples(data):
    """One array, as the estimator takes them, and not an input for each column."""
    x, y = data
    frame = pytest.importorskip("pandas").DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, y > 0)
    result = quern.compile(model, frame[:2])(frame)
    np.testing.assert_allclose(result[1], model.predict_proba(frame), atol=1e-5)


@pytest.mark.parametrize("package, name", [("lightgbm", "LGBMClassifier"), ("xgboost", "XGBRegressor")])
@pytest.mark.parametrize("frame", [False, True])
def test_boosters_with_examples_in_float64(data, package, name, frame):
    """As NumPy and dataframes have them; the trees compute in float32."""
    kind = getattr(pytest.importorskip(package), name)
    pytest.importorskip("onnxmltools")
    x, y = data
    x = x.astype("f8")
    if frame:
        x = pytest.importorskip("pandas").DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])
    model = kind(n_estimators=5).fit(x, y > 0 if "Classifier" in name else y)
    compiled = quern.compile(model, x[:2])
    assert not frame or list(model.feature_names_in_) == list(x.columns)  # as they were
    assert [port.dtype for port in compiled.inputs] == [np.float32]
    result = compiled(x)
    if "Classifier" in name:
        np.testing.assert_allclose(result[1], model.predict_proba(x), atol=1e-4)
    else:
        np.testing.assert_allclose(result.ravel(), model.predict(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("package", ["lightgbm", "xgboost"])
def test_boosters_beside_estimators(data, package):
    module = pytest.importorskip(package)
    pytest.importorskip("onnxmltools")
    x, y = data
    if package == "lightgbm":
        booster = module.train({"verbose": -1}, module.Dataset(x, y), 5)
        wanted = booster.predict(x)
    else:
        booster = module.train({}, module.DMatrix(x, y), 5)
        wanted = booster.predict(module.DMatrix(x))
    np.testing.assert_allclose(quern.compile(booster)(x.astype("f8")).ravel(), wanted, rtol=1e-3,
                               atol=1e-4)


def test_without_onnxmltools(data, monkeypatch):
    lightgbm = pytest.importorskip("lightgbm")
    x, y = data
    model = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(x, y)
    monkeypatch.setitem(sys.modules, "onnxmltools", None)
    with pytest.raises(quern.UnsupportedError, match="lightgbm.LGBMRegressor needs the package "
                                                     "onnxmltools.*pip install onnxmltools"):
        quern.compile(model)


def test_what_a_converter_raises_is_quern_s(data):
    from sklearn.base import BaseEstimator

    class Unknown(BaseEstimator):
        n_features_in_ = 4

    with pytest.raises(quern.UnsupportedError, match="skl2onnx cannot convert .*Unknown: "):
        quern.compile(Unknown())
    x, y = data
    with pytest.raises(quern.UnsupportedError, match="skl2onnx cannot convert"):
        quern.compile(LinearRegression().fit(x, y), no_such_option=1)


def test_compare(data):
    x, y = data
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(x, y)
    report = quern.compile(pipeline).compare(inputs=x, seconds=0.01)
    assert report.systems[1].name == "sklearn predict" and report.passed
    labels = GradientBoostingClassifier(n_estimators=5).fit(x, y > 0)
    report = quern.compile(labels).compare(inputs=x[:20], seconds=0.01)
    assert [output.name for output in report.outputs] == ["label", "probabilities"]
