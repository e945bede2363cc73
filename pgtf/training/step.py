"""One training iteration: D update with the moving average of G, then G update. Paper, App. A.1."""

import contextlib
import dataclasses
import itertools

import keras
import tensorflow as tf

from pgtf import losses, ops


@dataclasses.dataclass(frozen=True)
class Terms:
    """A loss and what it is made of, one value per sample."""

    loss: tf.Tensor  # [N]
    components: dict[str, tf.Tensor]  # each [N]; see discriminator_parts and generator_terms

    def __add__(self, other):
        return Terms(self.loss + other.loss, self.components | other.components)


def discriminator_parts(G, D, reals, labels, latents, mixing, alpha, config, loss_scale=None):
    """Loss of D in parts whose sum it is; the fakes get the labels of the reals.

    Args:
        G, D: networks; `reals` decide the resolution.
        reals: [N, R, R, C] in [-1, 1], already faded and mirrored.
        labels: [N, label_size].
        latents: [N, latent_size].
        mixing: [N, 1, 1, 1] in [0, 1), the position between real and fake.
        alpha: [] weight of the finest branch; None: 1, the other one is left out.
        config: losses.LossConfig.
        loss_scale: [] factor under which the inner gradient is taken, or None.

    Returns:
        Functions -> Terms for `gradients_of`: for WGAN-GP the penalty, then reals and fakes, in one
        pass if that is the same and faster. Components are real_scores and fake_scores, with labels
        real_label_penalty and fake_label_penalty, and mixed_norms, 0, for LSGAN; for WGAN-GP
        drift, mixed_scores and mixed_norms.
    """
    G_model, D_model, weight = _models(G, D, reals.shape[1], alpha)
    fakes = G_model(G.inputs(latents, labels, weight))

    def score_both():
        of_reals, of_fakes = D.score_jointly(reals, fakes, alpha)
        return _terms_of_reals(*of_reals, labels, config) + _terms_of_fakes(
            *of_fakes, labels, config
        )

    def score_reals():
        return _terms_of_reals(*D_model([reals, weight]), labels, config)

    def score_fakes():
        return _terms_of_fakes(*D_model([fakes, weight]), labels, config)

    def penalty():
        mixed_scores, mixed_norms = losses.gradient_norms(
            lambda images: D_model([images, weight])[0],
            losses.mix(reals, fakes, mixing),
            enlargement=D.config.resolution // reals.shape[1],
            loss_scale=loss_scale,
        )
        components = {"mixed_scores": mixed_scores[:, 0], "mixed_norms": mixed_norms}
        return Terms(losses.gradient_penalty(mixed_norms, config), components)

    scores = [score_both] if _scores_jointly(D, reals.shape) else [score_reals, score_fakes]
    # The penalty first: two gradients of each weight wait for each other in it.
    return scores if config.kind == "lsgan" else [penalty, *scores]


def _scores_jointly(D, shape):
    """True if D scores reals and fakes [N, R, R, C] in one pass: same scores, and faster."""
    minibatch, resolution = shape[0], shape[1]
    if not D.can_score_jointly(minibatch):
        return False
    map_bytes = 4 * minibatch * resolution**2 * D.nf(resolution.bit_length() - 2)
    return ops.is_joint_pass_faster(map_bytes)


def _terms_of_reals(scores, label_logits, labels, config):
    components = {"real_scores": scores[:, 0]}
    if config.kind == "lsgan":
        loss = losses.lsgan_reals(scores, config)
        components["mixed_norms"] = tf.zeros_like(loss)  # nothing is mixed
    else:
        loss = losses.wgan_reals(scores, config)
        components["drift"] = tf.square(scores[:, 0])
    return _with_labels(Terms(loss, components), "real", label_logits, labels, config)


def _terms_of_fakes(scores, label_logits, labels, config):
    is_lsgan = config.kind == "lsgan"
    loss = losses.lsgan_fakes(scores, config) if is_lsgan else losses.wgan_fakes(scores)
    terms = Terms(loss, {"fake_scores": scores[:, 0]})
    return _with_labels(terms, "fake", label_logits, labels, config)


def _with_labels(terms, kind, label_logits, labels, config):
    if not label_logits.shape[1]:
        return terms
    penalty = losses.label_penalty(label_logits, labels)
    return terms + Terms(config.cond_weight * penalty, {f"{kind}_label_penalty": penalty})


def generator_terms(G, D, latents, labels, resolution, alpha, config):
    """Loss of G: latents [N, latent_size], labels [N, label_size] -> Terms.

    Components are fake_scores and, with labels, label_penalty; alpha as in `discriminator_parts`.
    """
    G_model, D_model, weight = _models(G, D, resolution, alpha)
    fakes = G_model(G.inputs(latents, labels, weight))
    scores, logits = D_model([fakes, weight])
    components = {"fake_scores": scores[:, 0]}
    if config.kind == "lsgan":
        loss = losses.lsgan_generator(scores, config)
    else:
        loss = losses.wgan_generator(scores)
    if D.config.label_size:
        components["label_penalty"] = losses.label_penalty(logits, labels)
        loss += config.cond_weight * components["label_penalty"]
    return Terms(loss, components)


def gradients_of(parts, variables, loss_scale=None):
    """Gradients of the mean loss: functions -> Terms, {name: variable} -> Terms, {name: tensor}.

    The loss is the sum of the parts. A part is computed when the gradients of the one before are
    done, so that the memory of one serves the next.

    Only the given variables (or tensors) are watched, so nothing is computed for the other network.
    With `loss_scale` the loss is differentiated times this factor, and the gradients divided by it.
    """
    terms, sums = None, []
    for part in parts:
        done = [tf.group(*sums)] if sums else []  # one edge to each operation, not one of each sum
        with tf.control_dependencies(done):
            found, gradients = _gradients_of_part(part, list(variables.values()), loss_scale)
        terms = found if terms is None else terms + found
        sums = [a + b for a, b in zip(sums, gradients, strict=True)] if sums else gradients
    return terms, dict(zip(variables, sums, strict=True))


def _gradients_of_part(part, variables, loss_scale):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        terms = part()
        mean_loss = tf.reduce_mean(terms.loss)
        if loss_scale is not None:
            mean_loss *= loss_scale
    with ops.weight_gradients_first(variables):
        gradients = tape.gradient(mean_loss, variables, unconnected_gradients="zero")
    if loss_scale is not None:
        gradients = [gradient / loss_scale for gradient in gradients]
    return terms, gradients


def mean_over_parts(part, num_parts, num_values, variables):
    """Gradients of a minibatch of which only a part at a time is in memory.

    Args:
        part: a function of a number in 0 ... num_parts - 1, called as a tensor: -> [num_values]
            float32 and gradients {name: tensor}.
        num_parts: how many parts of the same size there are.
        num_values: length of the first result.
        variables: {name: variable}, those of the gradients.

    Returns:
        The means over all parts of what `part` returns.
    """
    if num_parts == 1:
        return part(0)

    def add(index, values, gradients):
        more_values, more = part(index)
        return index + 1, values + more_values, {k: v + more[k] for k, v in gradients.items()}

    zeros = {name: tf.zeros(variable.shape) for name, variable in variables.items()}
    _, values, gradients = tf.while_loop(
        lambda index, *_: index < num_parts,
        add,
        (tf.constant(0), tf.zeros([num_values]), zeros),
        parallel_iterations=1,  # more would bring back the memory that parts save
    )
    return values / num_parts, {name: sum_ / num_parts for name, sum_ in gradients.items()}


def average_over_replicas(gradients):
    """Mean over replicas of {name: tensor}; the original averages its GPUs alike."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return gradients
    means = context.all_reduce(tf.distribute.ReduceOp.MEAN, list(gradients.values()))
    return dict(zip(gradients, means, strict=True))


def read(*networks):
    """All weights of networks as tensors, in replica context: -> a dictionary by name of each.

    Used in their place (`computing_with`), they make an update a pure function of tensors: it can
    be compiled, each variable is read once, and what several passes make of a weight is shared.
    """
    return [{k: v.read_value() for k, v in n.variables_by_name.items()} for n in networks]


@contextlib.contextmanager
def computing_with(*weights):
    """Context manager for gradients: networks compute with tensors, and pgtf.ops for training.

    Args:
        *weights: pairs (network, {name: tensor}).
    """
    pairs = (network.replacements(tensors) for network, tensors in weights)
    mapping = [*itertools.chain(*pairs)]
    with ops.implementation("training"), keras.StatelessScope(state_mapping=mapping):
        yield


def update_moving_average(averages, sources, decay):
    """Gs = G + (Gs - G) * decay for dictionaries of variables, in replica context. App. A.1.

    The original runs this together with the update of D, so Gs sees G one iteration late.
    """
    for name, source in sources.items():
        behind = averages[name].read_value() - source.read_value()
        # In the memory that the average has: a tensor assigned to it would bring its own along.
        change = behind * (1 - decay)
        tf.raw_ops.AssignSubVariableOp(resource=averages[name].handle, value=change)


def _models(G, D, resolution, alpha):
    """Models of both networks and the weight of their finest branch."""
    models = [n.model(resolution.bit_length() - 1, alpha is not None) for n in (G, D)]
    return *models, tf.constant(1.0) if alpha is None else alpha
