"""What more than one paper uses: backbones and their cached features."""
