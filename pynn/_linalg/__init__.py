"""What pynn.linalg is made of. LU, Cholesky, QR and triangular systems of real matrices are kernels, other values come from
NumPy's LAPACK, which is imported when first used; derivatives are ours."""
