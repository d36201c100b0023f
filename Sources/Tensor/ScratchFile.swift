import CLinux
import Foundation

/// Tensors put aside on disk, in a file without a name that is gone with its process.
public final class ScratchFile {
  private let folder: String
  private let descriptor: Int32
  private var end = 0

  /// - Throws: `DurableFileError`.
  public init(folder: String) throws {
    self.folder = folder
    descriptor = stem_open_nameless(folder)
    guard descriptor >= 0 else { throw DurableFileError("written to", folder) }
  }

  deinit { close(descriptor) }

  /// The same tensor, whose elements come into memory when they are read, and leave it with
  /// `releasePages`.
  /// - Throws: `DurableFileError`, for example where the disk is full.
  public func keep(_ tensor: Tensor) throws -> Tensor {
    let bytes = tensor.count * MemoryLayout<Float>.stride
    guard bytes > 0 else { return tensor }
    try tensor.withValues { values in
      var written = 0
      while written < bytes {
        let put = pwrite(
          descriptor, UnsafeRawPointer(values) + written, bytes - written, off_t(end + written))
        if put < 0, errno == EINTR { continue }
        guard put > 0 else { throw DurableFileError("written to", folder) }
        written += put
      }
    }
    guard let mapping = mmap(nil, bytes, PROT_READ, MAP_SHARED, descriptor, off_t(end)),
      mapping != MAP_FAILED
    else { throw DurableFileError("mapped from", folder) }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    end += (bytes + page - 1) / page * page
    return Tensor(
      shape: tensor.shape,
      storage: TensorStorage(
        readOnly: mapping.assumingMemoryBound(to: Float.self),
        owner: MappedPages(bytes: UnsafeRawPointer(mapping), count: bytes)), offset: 0)
  }
}

extension Tensor {
  /// Gives memory back that the system can fill from a file again; the elements stay what they are.
  public func releasePages() { storage.releasePages() }
}
