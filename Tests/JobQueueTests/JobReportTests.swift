import EditSettings
import Foundation
import Testing

@testable import JobQueue

@Suite("Report of a job") struct JobReportTests {
  let test: TestSpool

  init() throws { test = try TestSpool() }

  private func page(_ folder: String) -> String {
    test.folder.content("outbox/\(folder)/report.html") ?? ""
  }

  @Test("a job that failed has a report of what failed, where, and what to do") func failed() throws
  {
    let job = try test.claim("ball.mp4", ["ball.txt": "a red ball => a <b>blue</b> ball"])[0]
    _ = try test.spool.store.start(job.id, worker: "worker-1")
    try test.spool.prepareAttempt(of: job.id)
    try test.spool.log("the decoder gave up", level: "error", job: job.id)
    _ = try test.spool.store.finish(
      job.id, as: .failed, error: "the clip is empty: send it again", stoppedAt: "decode")
    _ = try test.spool.deliver(job.id)
    for text in [
      "The clip is empty: send it again.", "at: decode.", "ffmpeg -i CLIP",
      "stemctl retry \(job.id)", "a red ball",
      "a &lt;b&gt;blue&lt;/b&gt; ball", "the decoder gave up", "Failed",
    ] {
      #expect(page("ball").contains(text), "\(text)")
    }
    #expect(try test.report("ball")["stopped_at"] == .text("decode"))
  }

  @Test("so has one whose sidecar cannot be understood, and one that was cancelled") func others()
    throws
  {
    let broken = try test.claim("a.mp4", ["a.yaml": "promt: a cat"])[0]
    _ = try test.spool.deliver(broken.id)
    #expect(page("a").contains("a.yaml: unknown key &#39;promt&#39;"))
    #expect(page("a").contains("No worker began it."))
    let cancelled = try test.claim("b.mp4", ["b.txt": "a cat"])[0]
    _ = try test.spool.store.finish(cancelled.id, as: .cancelled)
    _ = try test.spool.deliver(cancelled.id)
    #expect(page("b").contains("Somebody cancelled this job."))
    #expect(page("b").contains("It had not begun."))
    #expect(page("b").contains("stemctl retry \(cancelled.id)"))
    let late = try test.claim("c.mp4", ["c.txt": "a cat"])[0]
    _ = try test.spool.store.finish(late.id, as: .cancelled, stoppedAt: "invert 7/50")
    _ = try test.spool.deliver(late.id)
    #expect(page("c").contains("It was at: invert 7/50."))
    #expect(try test.report("c")["stopped_at"] == .text("invert 7/50"))
  }

  @Test("the worker's own report of an edit stays") func done() throws {
    let job = try test.claim("ball.mp4", ["ball.txt": "a ball"])[0]
    _ = try test.finish(job.id)
    test.folder.drop("work/\(job.id)/result/report.html", "the worker's")
    _ = try test.spool.deliver(job.id)
    #expect(page("ball") == "the worker's")
  }
}

@Suite("Sidecar text") struct SidecarTextTests {
  @Test("reads back as the settings that it was written for", arguments: EditingMethod.allCases)
  func roundTrip(_ method: EditingMethod) throws {
    var settings = EditSettings(
      prompt: "a \"blue\" ball: on\tsand # no comment, 球 🙂", sourcePrompt: "- true",
      negativePrompt: "", method: method, steps: 20, guidance: 6.25, seed: .max)
    settings.model = "some model"
    settings.loras = ["style": 0.8, "other: one": -1]
    settings.precision = .mixed
    settings.reconstruction = false
    settings.size = .exactly(FrameSize(width: 64, height: 128))
    let options = [
      "tokenflow":
        #""attention_share": 0.1, "feature_share": 0.2, "group_size": 3, "blending": "authors", "free_u": true"#,
      "fatezero":
        #""attention_share": 0.1, "cross_attention_share": 1, "emphasis": {"blue": 2.5}, "replace_words": true, "blend_words": ["ball", "yes"], "blend_threshold": 0.4"#,
      "pix2video": #""pull": 7.5"#, "text2video-zero": #""image_guidance": 1.25"#,
    ]
    if let options = options[method.rawValue] {
      settings.options = try Sidecar.settings(
        from: Array(#"{"prompt": "x", "method": "\#(method.rawValue)", \#(options)}"#.utf8),
        fileExtension: "json"
      ).options
      #expect(settings.options != EditorOptions())
    }
    let read = try Sidecar.settings(from: Array(settings.sidecarText.utf8), fileExtension: "yaml")
    #expect(read == settings)
    #expect(settings.sidecarText.hasPrefix("prompt: "))
  }

  @Test("every setting but the texts has a line for people") func facts() {
    let names = EditSettings(prompt: "a ball").facts.map(\.name)
    #expect(names.contains("steps") && names.contains("reconstruction"))
    #expect(!names.contains("prompt"))
    // Of another method.
    #expect(names.contains("free_u") && !names.contains("replace_words"))
  }
}
