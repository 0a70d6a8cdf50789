"""Models of scikit-learn, LightGBM and XGBoost, by skl2onnx and onnxmltools."""

import numpy as np
from sklearn import (
    cluster,
    compose,
    datasets,
    discriminant_analysis,
    ensemble,
    feature_extraction,
    gaussian_process,
    impute,
    linear_model,
    mixture,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

IRIS, KINDS = datasets.load_iris(return_X_y=True)
IRIS = IRIS.astype(np.float32)
SUGAR, PROGRESS = datasets.load_diabetes(return_X_y=True)
SUGAR = SUGAR.astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])[KINDS]
TEXTS = np.array(
    [
        "the cat sat on the mat",
        "a dog barked",
        "the dog and the cat",
        "no animals here, none",
        "mats and cats; dogs!",
        "Sat on a mat",
    ]
).reshape(-1, 1)


def rows(x):
    return [{"X": x[::7][:16]}, {"X": x[:1]}, {"X": x[1:120]}]


def fitted(e, name, model, x, y, cases=None, types=None, zipmap=None, opset=17, ml=3):
    def convert():
        model.fit(x, y)
        options = {id(model): {"zipmap": zipmap}} if zipmap is not None else None
        converted = to_onnx(
            model,
            x[:1] if types is None else None,
            initial_types=types,
            options=options,
            target_opset={"": opset, "ai.onnx.ml": ml},
        )
        (e.folder / f"sk_{name}.onnx").write_bytes(converted.SerializeToString())
        e.finish(f"sk_{name}", cases or rows(x))

    e.attempt(f"sk_{name}", convert)


def classifiers(e):
    estimators = [("one", naive_bayes.GaussianNB()), ("two", linear_model.LogisticRegression(max_iter=500))]
    for name, model, y in (
        ("decision_tree", tree.DecisionTreeClassifier(random_state=0), KINDS),
        ("extra_trees_strings", ensemble.ExtraTreesClassifier(20, random_state=0), NAMES),
        ("ada_boost", ensemble.AdaBoostClassifier(n_estimators=10, random_state=0), KINDS),
        ("bagging", ensemble.BaggingClassifier(n_estimators=5, random_state=0), KINDS),
        ("voting", ensemble.VotingClassifier(estimators, voting="soft", flatten_transform=False), KINDS),
        ("stacking", ensemble.StackingClassifier(estimators), KINDS),
        ("gaussian_nb", naive_bayes.GaussianNB(), KINDS),
        ("bernoulli_nb", naive_bayes.BernoulliNB(), KINDS),
        ("multinomial_nb", naive_bayes.MultinomialNB(), NAMES),
        ("knn", neighbors.KNeighborsClassifier(3), KINDS),
        ("lda", discriminant_analysis.LinearDiscriminantAnalysis(), KINDS),
        ("qda", discriminant_analysis.QuadraticDiscriminantAnalysis(), KINDS),
        ("linear_svc", svm.LinearSVC(), KINDS),
        ("nu_svc_poly", svm.NuSVC(kernel="poly", probability=True), KINDS),
        ("svc_sigmoid_strings", svm.SVC(kernel="sigmoid"), NAMES),
        ("one_vs_rest", multiclass.OneVsRestClassifier(linear_model.LogisticRegression()), KINDS),
        ("sgd", linear_model.SGDClassifier(loss="modified_huber", random_state=0), KINDS),
        ("ridge_classifier", linear_model.RidgeClassifier(), KINDS),
        (
            "mlp_strings",
            neural_network.MLPClassifier(hidden_layer_sizes=(8,), max_iter=100, random_state=0),
            NAMES,
        ),
    ):
        fitted(e, name, model, IRIS, y, zipmap=None if name in ("linear_svc", "ridge_classifier") else False)
    fitted(e, "forest_zipmap", ensemble.RandomForestClassifier(10, random_state=0), IRIS, NAMES)
    fitted(
        e,
        "forest_columns",
        ensemble.RandomForestClassifier(10, random_state=0),
        IRIS,
        KINDS,
        zipmap="columns",
    )
    fitted(
        e,
        "forest_opset11",
        ensemble.RandomForestClassifier(10, random_state=0),
        IRIS,
        KINDS,
        zipmap=False,
        opset=11,
        ml=1,
    )
    for ml in (4, 5):
        fitted(
            e,
            f"forest_ml{ml}",
            ensemble.RandomForestClassifier(10, random_state=0),
            IRIS,
            KINDS,
            zipmap=False,
            opset=21,
            ml=ml,
        )
    fitted(e, "isolation_forest", ensemble.IsolationForest(n_estimators=20, random_state=0), IRIS, None)
    fitted(
        e, "one_class_svm", svm.OneClassSVM(), IRIS, None, rows(IRIS + np.float32(0.01))
    )  # off the boundary
    fitted(e, "local_outlier", neighbors.LocalOutlierFactor(novelty=True), IRIS, None)


def regressors(e):
    for name, model in (
        ("decision_tree_reg", tree.DecisionTreeRegressor(max_depth=6)),
        ("forest_reg", ensemble.RandomForestRegressor(20, max_depth=6, random_state=0)),
        ("gradient_reg", ensemble.GradientBoostingRegressor(n_estimators=20)),
        ("svr", svm.SVR(C=100)),
        ("nu_svr_linear", svm.NuSVR(kernel="linear")),
        ("knn_reg", neighbors.KNeighborsRegressor(4, weights="distance")),
        (
            "gaussian_process",
            gaussian_process.GaussianProcessRegressor(gaussian_process.kernels.RBF(2.0), alpha=1),
        ),
        ("poisson", linear_model.PoissonRegressor()),
        ("elastic", linear_model.ElasticNet()),
        (
            "mlp_reg",
            neural_network.MLPRegressor(
                hidden_layer_sizes=(16,), activation="tanh", max_iter=100, random_state=0
            ),
        ),
        (
            "voting_reg",
            ensemble.VotingRegressor(
                [("a", linear_model.Ridge()), ("b", tree.DecisionTreeRegressor(max_depth=3))]
            ),
        ),
    ):
        fitted(e, name, model, SUGAR, PROGRESS)
    both = np.stack([PROGRESS, -PROGRESS], 1)
    fitted(
        e, "forest_two_targets", ensemble.RandomForestRegressor(5, max_depth=5, random_state=0), SUGAR, both
    )


def transformers(e):
    p = preprocessing
    for name, model in (
        ("kmeans", cluster.KMeans(3, n_init=2, random_state=0)),
        ("mini_kmeans", cluster.MiniBatchKMeans(3, n_init=2, random_state=0)),
        ("mixture", mixture.GaussianMixture(3, random_state=0)),
        ("robust", p.RobustScaler()),
        ("min_max", p.MinMaxScaler(clip=True)),
        ("max_abs", p.MaxAbsScaler()),
        ("normalizer", p.Normalizer("l1")),
        ("polynomial", p.PolynomialFeatures(3)),
        ("power", p.PowerTransformer()),
        ("bins", p.KBinsDiscretizer(4, encode="onehot-dense")),
        ("binarizer", p.Binarizer(threshold=2.0)),
        ("function", p.FunctionTransformer()),
    ):
        fitted(e, name, model, IRIS, None)
    holes = SUGAR.copy()  # iris has neighbours at equal distances, between which rounding chooses
    holes[::5, 1] = np.nan
    fitted(e, "imputer", impute.SimpleImputer(strategy="median"), holes, None)
    fitted(e, "knn_imputer", impute.KNNImputer(n_neighbors=2), holes, None, opset=18)
    vectorizers = feature_extraction.text
    texts = [("X", StringTensorType([None, 1]))]
    lines = [{"X": TEXTS}, {"X": TEXTS[:1]}, {"X": np.array([["unknown words"], [""]])}]
    for name, model in (
        ("tfidf", vectorizers.TfidfVectorizer()),
        ("counts", vectorizers.CountVectorizer(ngram_range=(1, 2))),
        ("tfidf_chars", vectorizers.TfidfVectorizer(analyzer="char", ngram_range=(1, 2))),
        (
            "tfidf_classifier",
            pipeline.make_pipeline(vectorizers.TfidfVectorizer(), linear_model.LogisticRegression()),
        ),
    ):

        def convert():
            model.fit(TEXTS[:, 0], [0, 1, 1, 0, 0, 1])
            vectorizer = model.steps[0][1] if isinstance(model, pipeline.Pipeline) else model
            converted = to_onnx(
                model,
                initial_types=texts,
                options={id(vectorizer): {"locale": "C"}},
                target_opset={"": 17, "ai.onnx.ml": 3},
            )
            (e.folder / f"sk_{name}.onnx").write_bytes(converted.SerializeToString())
            e.finish(f"sk_{name}", lines)

        e.attempt(f"sk_{name}", convert)
    words = np.array([["red", "small"], ["blue", "large"], ["green", "small"], ["red", "large"]])
    pairs = [{"X": words}, {"X": np.array([["red", "none"]])}]
    shape = [("X", StringTensorType([None, 2]))]
    fitted(
        e, "one_hot", p.OneHotEncoder(handle_unknown="ignore", sparse_output=False), words, None, pairs, shape
    )
    fitted(
        e,
        "ordinal",
        p.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        words,
        None,
        pairs,
        shape,
    )
    fitted(
        e,
        "one_hot_ints",
        p.OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        KINDS.reshape(-1, 1),
        None,
        [{"X": KINDS.reshape(-1, 1)[::9]}],
        [("X", Int64TensorType([None, 1]))],
    )
    columns(e, words)


def columns(e, words):
    """A pipeline with an input per column, as for tables."""
    import pandas

    table = pandas.DataFrame(
        {"size": IRIS[:120, 0], "width": IRIS[:120, 1], "colour": np.tile(words[:, 0], 30)}
    )
    model = pipeline.make_pipeline(
        compose.ColumnTransformer(
            [
                (
                    "n",
                    pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler()),
                    ["size", "width"],
                ),
                ("c", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["colour"]),
            ]
        ),
        linear_model.LogisticRegression(),
    )

    def convert():
        model.fit(table, KINDS[:120])
        types = [
            ("size", FloatTensorType([None, 1])),
            ("width", FloatTensorType([None, 1])),
            ("colour", StringTensorType([None, 1])),
        ]
        converted = to_onnx(model, initial_types=types, target_opset={"": 17, "ai.onnx.ml": 3})
        (e.folder / "sk_columns.onnx").write_bytes(converted.SerializeToString())
        feeds = {"size": IRIS[:8, :1], "width": IRIS[:8, 1:2], "colour": np.tile(words[:, :1], (2, 1))}
        e.finish("sk_columns", [feeds, {key: value[:1] for key, value in feeds.items()}])

    e.attempt("sk_columns", convert)


def boosted(e):
    import lightgbm
    import xgboost
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType as Floats

    wide = np.random.default_rng(0).standard_normal((400, 30)).astype(np.float32)
    sums = wide[:, 0] * wide[:, 1] + np.sin(wide[:, 2])
    holes = wide.copy()
    holes[::3, 4] = np.nan
    for name, convert, model, x, y in (
        (
            "lightgbm_classes",
            convert_lightgbm,
            lightgbm.LGBMClassifier(n_estimators=20, verbose=-1),
            IRIS,
            KINDS,
        ),
        (
            "lightgbm_two",
            convert_lightgbm,
            lightgbm.LGBMClassifier(n_estimators=20, verbose=-1),
            holes,
            (sums > 0).astype(int),
        ),
        ("lightgbm_reg", convert_lightgbm, lightgbm.LGBMRegressor(n_estimators=200, verbose=-1), wide, sums),
        (
            "lightgbm_forest",
            convert_lightgbm,
            lightgbm.LGBMRegressor(
                n_estimators=20, boosting_type="rf", bagging_freq=1, bagging_fraction=0.6, verbose=-1
            ),
            holes,
            sums,
        ),
        ("xgboost_classes", convert_xgboost, xgboost.XGBClassifier(n_estimators=20), IRIS, KINDS),
        (
            "xgboost_two",
            convert_xgboost,
            xgboost.XGBClassifier(n_estimators=20),
            holes,
            (sums > 0).astype(int),
        ),
        ("xgboost_reg", convert_xgboost, xgboost.XGBRegressor(n_estimators=200), wide, sums),
        (
            "xgboost_poisson",
            convert_xgboost,
            xgboost.XGBRegressor(n_estimators=20, objective="count:poisson"),
            holes,
            np.abs(sums),
        ),
    ):

        def run():
            model.fit(x, y)
            converted = convert(model, initial_types=[("X", Floats([None, x.shape[1]]))], target_opset=15)
            (e.folder / f"{name}.onnx").write_bytes(converted.SerializeToString())
            e.finish(name, rows(x))

        e.attempt(name, run)


def export(e):
    classifiers(e)
    regressors(e)
    transformers(e)
    boosted(e)
