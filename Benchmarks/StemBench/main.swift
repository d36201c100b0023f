import Tensor

Parallel.waitPatiently()
StemBench.main()
