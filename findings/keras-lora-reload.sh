#!/usr/bin/env bash
# Guess: a model with LoRA that is saved with save_weights and read again with load_weights goes on training.
# Seen: save_weights merges the update into the kernel, and load_weights sets both LoRA matrices to zero. Predictions
#   are right, but the gradient of A is a multiple of B and that of B a multiple of A: both stay zero for ever.
# Why it matters: a resumed run shows a falling loss, since biases and head learn, while its adapters learn nothing.
# Instead: after load_weights draw A anew (B stays zero), or keep the LoRA matrices in a file of one's own.
. "$(dirname "$0")/common.sh"
export KERAS_BACKEND=jax JAX_PLATFORMS=cpu

packages keras==3.15.1 jax==0.8.2
"$python" - <<'PYTHON'
import keras
import numpy
from expect import expect

print("keras", keras.__version__, "on", keras.backend.backend())
inputs = numpy.random.default_rng(0).normal(size=(64, 8)).astype("float32")
targets = inputs @ numpy.random.default_rng(1).normal(size=(8, 4)).astype("float32")

def model():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    network.layers[0].enable_lora(2)
    network.compile(keras.optimizers.SGD(0.05), loss="mse")
    return network

def largest(weight):
    return float(numpy.abs(numpy.asarray(weight)).max())

trained = model()
trained.fit(inputs, targets, epochs=3, verbose=0)
expect("training moves B away from zero", largest(trained.layers[0].lora_kernel_b) > 0.01)
trained.save_weights("model.weights.h5")

resumed = model()
resumed.load_weights("model.weights.h5")
layer = resumed.layers[0]
same = numpy.allclose(trained.predict(inputs, verbose=0), resumed.predict(inputs, verbose=0), atol=1e-5)
expect("predictions are the same after load_weights", same)
expect("largest element of A and of B after load_weights", [largest(layer.lora_kernel_a), largest(layer.lora_kernel_b)], [0.0, 0.0])
losses = resumed.fit(inputs, targets, epochs=20, verbose=0).history["loss"]
print(f"  loss in 20 more epochs: {losses[0]:.3f} to {losses[-1]:.3f}")
expect("largest element of A and of B 20 epochs later", [largest(layer.lora_kernel_a), largest(layer.lora_kernel_b)], [0.0, 0.0])
layer.lora_kernel_a.assign(keras.random.normal(layer.lora_kernel_a.shape, stddev=0.5))
resumed.fit(inputs, targets, epochs=3, verbose=0)
expect("B moves again once A was drawn anew", largest(layer.lora_kernel_b) > 0.01)
PYTHON
