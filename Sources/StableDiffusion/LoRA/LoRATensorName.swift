/// Which layer of a model a tensor of a LoRA file belongs to, and what of the low-rank term it is; in
/// the names that diffusers, peft and kohya's scripts give them.
struct LoRATensorName: Equatable {
  enum Component: String {
    case unet
    case textEncoder = "text_encoder"
  }
  enum Part { case down, up, alpha }

  let component: Component
  /// The layer's path without `text_model`; in kohya's names with `_` for each dot.
  let path: String
  let part: Part

  /// The layer's path with `_` for each dot, as two layouts have it.
  var layer: String { path.replacing(".", with: "_") }

  /// `nil` for names of another kind.
  init?(_ name: String) {
    guard let (stem, part) = Self.parted(name) else { return nil }
    self.part = part
    for (prefix, owner) in Self.kohyas where stem.hasPrefix(prefix) {
      let path = stem.dropFirst(prefix.count)
      (component, self.path) = (
        owner,
        owner == .textEncoder && path.hasPrefix("text_model_")
          ? String(path.dropFirst(11)) : String(path)
      )
      return
    }
    var path = stem
    var component = Component.unet
    for (prefix, owner) in Self.owners where path.hasPrefix(prefix) {
      (path, component) = (String(path.dropFirst(prefix.count)), owner)
      break
    }
    // Until 2024 diffusers named the processors of attention rather than its layers.
    path = path.replacing(".processor.", with: ".")
    for (old, new) in component == .unet ? Self.oldUNet : Self.oldText where path.hasSuffix(old) {
      path = path.dropLast(old.count) + new
    }
    if component == .textEncoder, path.hasPrefix("text_model.") {
      path = String(path.dropFirst(11))
    }
    (self.component, self.path) = (component, path)
  }

  private static func parted(_ name: String) -> (stem: String, Part)? {
    for (ending, part) in endings where name.hasSuffix(ending) {
      return (String(name.dropLast(ending.count)), part)
    }
    return nil
  }

  private static let endings: [(String, Part)] = [
    (".lora_down.weight", .down), (".lora_up.weight", .up),
    (".lora_A.weight", .down), (".lora_B.weight", .up),
    (".lora.down.weight", .down), (".lora.up.weight", .up),
    (".lora_linear_layer.down.weight", .down), (".lora_linear_layer.up.weight", .up),
    // Of `to_q_lora.down.weight`, the layer's name goes up to the end.
    (".down.weight", .down), (".up.weight", .up), (".alpha", .alpha),
  ]

  /// The text encoder has a number where the names are those of Stable Diffusion XL, which has two.
  private static let kohyas: [(String, Component)] = [
    ("lora_unet_", .unet), ("lora_te_", .textEncoder), ("lora_te1_", .textEncoder),
  ]

  /// Files that a UNet alone has written name no component.
  private static let owners: [(String, Component)] = [
    ("unet.", .unet), ("text_encoder.", .textEncoder),
  ]

  private static let oldUNet = [
    ("to_q_lora", "to_q"), ("to_k_lora", "to_k"), ("to_v_lora", "to_v"),
    ("to_out_lora", "to_out.0"),
  ]
  private static let oldText = [
    ("to_q_lora", "q_proj"), ("to_k_lora", "k_proj"), ("to_v_lora", "v_proj"),
    ("to_out_lora", "out_proj"),
  ]
}
