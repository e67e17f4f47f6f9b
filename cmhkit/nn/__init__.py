"""Layers that more than one paper uses: backbones, losses of triplets and pairs, masks, and the draws of all of them."""
