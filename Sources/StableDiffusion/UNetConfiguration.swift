/// The sizes of a UNet, from its configuration; whatever this UNet does not do is refused here by
/// name.
struct UNetConfiguration {
  let inputChannels, outputChannels, sampleSize: Int
  let channels: [Int]
  /// Per level: ResNets, transformer depth, heads, and whether there is attention at all, downwards
  /// and upwards.
  let layers, depths, heads: [Int]
  let attendsDown, attendsUp: [Bool]
  let contextWidth, groups: Int
  let epsilon: Double
  let linearProjection, flipsSineToCosine: Bool
  let frequencyShift: Double

  init(_ file: ComponentConfiguration) throws {
    try file.require("_class_name", oneOf: "UNet2DConditionModel")
    try file.require("act_fn", oneOf: "silu", "swish")
    try file.require("mid_block_type", oneOf: "UNetMidBlock2DCrossAttn")
    try file.require("time_embedding_type", oneOf: "positional")
    try file.require("resnet_time_scale_shift", oneOf: "default")
    try file.require("attention_type", oneOf: "default")
    for key in [
      "only_cross_attention", "dual_cross_attention", "center_input_sample", "resnet_skip_time_act",
      "class_embeddings_concat",
    ] {
      try file.require(key, oneOf: "false")
    }
    for key in [
      "class_embed_type", "num_class_embeds", "addition_embed_type", "encoder_hid_dim",
      "encoder_hid_dim_type", "time_embedding_dim",
      "time_embedding_act_fn", "timestep_post_act", "time_cond_proj_dim", "cross_attention_norm",
      "reverse_transformer_layers_per_block",
      "mid_block_only_cross_attention",
    ] { try file.require(key, oneOf: "null", "false") }
    for key in ["downsample_padding", "mid_block_scale_factor", "resnet_out_scale_factor"] {
      try file.require(key, oneOf: "1", "1.0")
    }
    for key in ["conv_in_kernel", "conv_out_kernel"] { try file.require(key, oneOf: "3") }

    inputChannels = try file.size("in_channels", default: 4)
    outputChannels = try file.size("out_channels", default: 4)
    sampleSize = try file.size("sample_size", default: 64)
    channels = try file.sizes("block_out_channels")
    let levels = channels.count
    let down = try file.texts("down_block_types")
    let up = try file.texts("up_block_types")
    guard down.count == levels else {
      throw file.wrong("down_block_types", "has \(down.count) entries for \(levels) levels")
    }
    guard up.count == levels else {
      throw file.wrong("up_block_types", "has \(up.count) entries for \(levels) levels")
    }
    for kind in down where kind != "CrossAttnDownBlock2D" && kind != "DownBlock2D" {
      throw file.wrong("down_block_types", "has '\(kind)', which is not supported")
    }
    for kind in up where kind != "CrossAttnUpBlock2D" && kind != "UpBlock2D" {
      throw file.wrong("up_block_types", "has '\(kind)', which is not supported")
    }
    attendsDown = down.map { $0 == "CrossAttnDownBlock2D" }
    attendsUp = up.map { $0 == "CrossAttnUpBlock2D" }
    layers = try file.sizes("layers_per_block", count: levels, default: 2)
    depths = try file.sizes("transformer_layers_per_block", count: levels, default: 1)
    // What the file calls a head's size is the number of heads; the newer key says so.
    heads = try file.sizes(
      file.has("num_attention_heads") ? "num_attention_heads" : "attention_head_dim", count: levels,
      default: 8)
    contextWidth = try file.size("cross_attention_dim", default: 1280)
    groups = try file.size("norm_num_groups", default: 32)
    epsilon = try file.number("norm_eps", default: 1e-5)
    linearProjection = try file.flag("use_linear_projection", default: false)
    flipsSineToCosine = try file.flag("flip_sin_to_cos", default: true)
    frequencyShift = try file.number("freq_shift", default: 0)
    guard epsilon > 0 else { throw file.wrong("norm_eps", "takes a positive number") }
    guard frequencyShift < Double(channels[0] / 2) else {
      throw file.wrong("freq_shift", "must be below half the first of 'block_out_channels'")
    }
    guard channels[0] % 2 == 0 else {
      throw file.wrong(
        "block_out_channels", "must begin with an even number, for the time embedding")
    }
  }
}
