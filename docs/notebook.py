"""From one labelled frame to a labelled clip, on arrays.

A notebook in percent format: VS Code, PyCharm, Spyder and Jupyter (with jupytext) open it as cells.
``python docs/notebook.py`` runs it as a program, and so do the tests.
"""

# %% [markdown]
# # One labelled frame, eleven labelled frames
#
# A clip is an array of frames, uint8 RGB `[n, h, w, 3]`. Here it is a street that is rendered,
# so that the true labels of all frames are known; with video of your own it is what your reader
# gives (OpenCV reads BGR: turn it around by `frame[..., ::-1]`).

# %%
import numpy as np
from PIL import Image

import wrp_jax

source = wrp_jax.open_source("synthetic:clips=1,frames=11,height=96,width=160,seed=4")
(clip,) = source.sequences
names = source.frame_names(clip)
frames = np.stack([source.frame(clip, name) for name in names])
classes = source.classes
truth = np.array(classes.ids, np.uint8)[[source.label(clip, name) for name in names]]
print(frames.shape, frames.dtype, "classes:", ", ".join(classes.names))

# %% [markdown]
# ## Motion alone
#
# Only the middle frame is labelled, with the ids of the classes. No network is needed to move
# its label along.

# %%
key = 5
moved = wrp_jax.propagate(frames, {key: truth[key]}, classes)
print(moved.labels.shape, moved.confidence.min(), moved.confidence.max())

# %% [markdown]
# ## Warp, inpaint, refine
#
# Where motion cannot be trusted, a segmentation network takes over, and a refiner chooses
# between the two. Both are trained on the one labelled frame. The segmentation is small here, and
# the training far too short, to keep this page quick: without `config` both are as they should
# be. With `workdir="RUN"` the networks are kept, and `wrp_jax.load("RUN")` brings the model back.

# %%
config = wrp_jax.Config()
config.segmentation.name, config.segmentation.network.width = "light", 8
config.segmentation.optimiser.steps, config.segmentation.sampling.crop = 80, (64, 96)
config.refiner.steps, config.refiner.clips = 20, 2
model = wrp_jax.fit(frames, {key: truth[key]}, classes, config=config)
print(model)

# %% [markdown]
# `propagate` yields a frame at a time, so a long video need not fit into memory; `collect`
# stacks what it yields.

# %%
refined = wrp_jax.collect(model.propagate(frames, {key: truth[key]}))
inpainted = wrp_jax.collect(model.propagate(frames, {key: truth[key]}, method="warp-inpaint"))

# %% [markdown]
# ## How good is it?
#
# Pixels with the right label, by distance from the labelled frame; void is left out.

# %%
known = ~np.isin(truth, [i for i, void in zip(classes.ids, classes.void, strict=True) if void])
count = len(frames)
print(f"{'frames from the labelled one':30}" + "".join(f"{abs(t - key):6}" for t in range(count)))
results = {"motion-only": moved, "warp-inpaint": inpainted, "warp-refine": refined}
for name, result in results.items():
    right = [(result.labels[t] == truth[t])[known[t]].mean() for t in range(count)]
    print(f"{name:30}" + "".join(f"{100 * share:6.1f}" for share in right))

# %% [markdown]
# ## A picture
#
# The last frame, its true labels, and those of motion alone and of warp-refine, in the colours
# of the classes.

# %%
palette = np.zeros((256, 3), np.uint8)
palette[list(classes.ids)] = classes.colors
row = [frames[-1], *(palette[labels[-1]] for labels in (truth, moved.labels, refined.labels))]
picture = Image.fromarray(np.concatenate(row, axis=1))
picture.save("propagated.png")
