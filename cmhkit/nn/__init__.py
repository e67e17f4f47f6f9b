"""Layers that more than one paper uses: backbones, losses of triplets and pairs, masks, and how they draw at random."""
