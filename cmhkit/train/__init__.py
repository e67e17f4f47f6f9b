"""How a method is trained: the loop that the papers share, the device, and several processes that train one model."""
