import Foundation
import Tensor

/// Files as PyTorch's `torch.save` writes them: pickles, which are programs. Opening one may run
/// anything, so none is opened here.
enum PickledWeights {
  private static let endings: Set = ["bin", "ckpt", "pickle", "pkl", "pt", "pth"]

  /// Whether a file's name, or how it begins, is that of a pickle.
  static func isPickled(_ url: URL) -> Bool {
    if endings.contains(url.pathExtension.lowercased()) { return true }
    guard RegularFile.isAt(url.path(percentEncoded: false)),
      let file = try? FileHandle(forReadingFrom: url),
      let start = try? file.read(upToCount: 9), start.count == 9
    else { return false }
    // The length of a safetensors file's header may look like either, but then comes the header.
    if start[8] == UInt8(ascii: "{") { return false }
    // A zip file as PyTorch writes it since version 1.6, or a bare pickle of protocol 2 or later.
    return start.prefix(4) == Data("PK\u{3}\u{4}".utf8)
      || (start[0] == 0x80 && (2...5).contains(start[1]))
  }

  /// The names of a component's pickles in a folder.
  static func names(among files: [String]) -> [String] {
    files.filter { endings.contains(($0 as NSString).pathExtension.lowercased()) }
      .filter { $0.contains("model") }.sorted()
  }

  private static let reason =
    "a Python pickle, which can run any program when it is opened, and is therefore never read here"

  /// For a whole model in one file.
  static func refusal(of checkpoint: URL) -> ModelError {
    let path = checkpoint.path(percentEncoded: false)
    let target = checkpoint.deletingPathExtension().path(percentEncoded: false) + ".safetensors"
    // Checkpoints of the original code name a class of a library that wrote them.
    let program =
      "import sys, torch; from safetensors.torch import save_file; torch.serialization.add_safe_globals([type('ModelCheckpoint', (), {'__module__': 'pytorch_lightning.callbacks.model_checkpoint'})]); w = torch.load(sys.argv[1], map_location='cpu', weights_only=True); w = w.get('state_dict', w); save_file({k: v.contiguous().clone() for k, v in w.items() if torch.is_tensor(v)}, sys.argv[2])"
    return ModelError(
      "\(path) is \(reason); with Python's torch and safetensors this saves its weights as a file that is read: python3 -c \"\(program)\" \(path.shellQuoted) \(target.shellQuoted)"
    )
  }

  /// For a component of a model in diffusers' layout.
  static func refusal(of file: String, in component: URL) -> ModelError {
    let model = component.deletingLastPathComponent().path(percentEncoded: false)
    let source = model.count > 1 && model.hasSuffix("/") ? String(model.dropLast()) : model
    let program =
      "import sys; from diffusers import StableDiffusionPipeline as P; P.from_pretrained(sys.argv[1], safety_checker=None\(file.contains(".fp16.") ? ", variant='fp16'" : "")).save_pretrained(sys.argv[2])"
    return ModelError(
      "\(component.path(percentEncoded: false)) holds its weights only as \(file), \(reason); with Python's diffusers and transformers this saves the model as one that is read: python3 -c \"\(program)\" \(source.shellQuoted) \((source + "-safetensors").shellQuoted)"
    )
  }
}
