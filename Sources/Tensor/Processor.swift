import CKernels
import COneDNN

/// Which of our kernels this processor runs; what oneDNN is kept from by its environment
/// (`ONEDNN_MAX_CPU_ISA`) our own kernels do not use either.
enum Processor {
  static let hasAVX512 = kernels_have_avx512() && oneDNNUses(dnnl_cpu_isa_avx512_core)
  static let hasBFloat16 = kernels_have_bf16() && oneDNNUses(dnnl_cpu_isa_avx512_core_bf16)

  private static func oneDNNUses(_ instructions: dnnl_cpu_isa_t) -> Bool {
    dnnl_get_effective_cpu_isa().rawValue & instructions.rawValue == instructions.rawValue
  }
}
