/// The fields of messages, by the names that the specification has for them.
enum MessageField: String, CodingKey {
  case type, id
  case job, jobs, key, known, name, settings, priority, path, staged, bytes, upload, received,
    credit,
    offset, length, file, files, states, client, after, before, order, limit, more, lease, missed,
    code, message, workers, version, pid, started, mode, values
  case threads, spool, quiet, progress, level, figures, error, reason, attempt, model, limits,
    source,
    checkpoint, video
  case mayPass = "may_pass"
  case checkpointInterval = "checkpoint_interval"
  case resultFolder = "result_folder"
  case checkpointFolder = "checkpoint_folder"
  case cacheFolder = "cache_folder"
  case cacheBytes = "cache_bytes"
  case modelFolder = "model_folder"
  case sourceBytes = "source_bytes"
}

typealias MessageFields = KeyedDecodingContainer<MessageField>
typealias NewMessageFields = KeyedEncodingContainer<MessageField>
