"""What pynn.linalg is made of. Values come from NumPy's LAPACK, which is imported when first used; derivatives are ours."""
