import CKernels

/// Which of our kernels this processor runs; what oneDNN is kept from by its environment
/// (`ONEDNN_MAX_CPU_ISA`) our own kernels do not use either.
enum Processor {
  static let hasAVX512 = kernels_have_avx512()
  static let hasBFloat16 = kernels_have_bf16()
}
