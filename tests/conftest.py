"""What all tests share: one BLAS thread, set before anything loads NumPy. Two on a busy two-core machine can be ten
times slower than one.
"""

from __future__ import annotations

import os

os.environ |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
