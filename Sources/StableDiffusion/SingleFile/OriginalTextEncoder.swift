import Foundation
import Tensor

/// The text encoder of a checkpoint in the original latent-diffusion layout: CLIP as transformers
/// names it in 1.x, OpenCLIP in 2.x.
struct OriginalTextEncoder {
  /// Either may have been written without `text_model.`.
  static let clipPrefixes = [
    "cond_stage_model.transformer.text_model.", "cond_stage_model.transformer.",
  ]
  static let openCLIPPrefix = "cond_stage_model.model."
  /// Of OpenCLIP ViT-H.
  private static let openCLIPLayers = 24

  let prefix: String
  let isOpenCLIP: Bool
  private(set) var names = ModuleNames()
  let width: Int
  private let positions, vocabularySize, inner: Int
  private var layers = 0

  /// - Parameter shape: of the tensor that has a name in the file.
  init?(shape: (String) -> [Int]?) {
    if let prefix = Self.clipPrefixes.first(where: {
      shape($0 + "embeddings.token_embedding.weight") != nil
    }) {
      (self.prefix, isOpenCLIP) = (prefix, false)
    } else if shape(Self.openCLIPPrefix + "token_embedding.weight") != nil {
      (prefix, isOpenCLIP) = (Self.openCLIPPrefix, true)
    } else {
      return nil
    }
    let (tokens, place, layer, up) =
      isOpenCLIP
      ? (
        "token_embedding.weight", "positional_embedding", "transformer.resblocks.",
        ".mlp.c_fc.weight"
      )
      : (
        "embeddings.token_embedding.weight", "embeddings.position_embedding.weight",
        "encoder.layers.", ".mlp.fc1.weight"
      )
    guard let embedding = shape(prefix + tokens), embedding.count == 2,
      let places = shape(prefix + place), places.count == 2,
      let inner = shape("\(prefix)\(layer)0\(up)")?.first
    else { return nil }
    (vocabularySize, width, positions) = (embedding[0], embedding[1], places[0])
    self.inner = inner
    while shape("\(prefix)\(layer)\(layers)\(up)") != nil { layers += 1 }
    guard isOpenCLIP else { return }
    // The hidden states come from before the last layer, as 2.x was trained. Files that were made of
    // diffusers' folders have neither that layer nor what follows it.
    if shape(prefix + "text_projection") != nil || layers == Self.openCLIPLayers { layers -= 1 }
    names["embeddings.token_embedding"] = "token_embedding"
    names["final_layer_norm"] = "ln_final"
    for layer in 0..<layers {
      let (path, original) = ("encoder.layers.\(layer)", "transformer.resblocks.\(layer)")
      for (module, other) in [
        ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"), ("self_attn", "attn"),
      ] { names["\(path).\(module)"] = "\(original).\(other)" }
    }
  }

  func origin(of name: String) -> RenamedTensors.Origin {
    guard isOpenCLIP else { return .init(prefix + name) }
    if name == "embeddings.position_embedding.weight" {
      return .init(prefix + "positional_embedding")
    }
    let original = names.original(of: name)
    // One matrix makes queries, keys and values.
    for (index, part) in [".q_proj.", ".k_proj.", ".v_proj."].enumerated() {
      if let range = original.range(of: part) {
        return .init(
          prefix + original.replacingCharacters(in: range, with: ".in_proj_"),
          part: (index: index, count: 3))
      }
    }
    return .init(prefix + original)
  }

  func configuration(_ architecture: OriginalArchitecture, place: String) -> ComponentConfiguration
  {
    ComponentConfiguration(
      [
        "hidden_size": .whole(width), "intermediate_size": .whole(inner),
        "vocab_size": .whole(vocabularySize), "max_position_embeddings": .whole(positions),
        "num_hidden_layers": .whole(layers),
        "num_attention_heads": .whole(max(1, width / architecture.textHeadChannels)),
        "hidden_act": .string(isOpenCLIP ? "gelu" : "quick_gelu"),
      ], place: place)
  }
}
