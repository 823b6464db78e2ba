import ArgumentParser
import Headwater
import HeadwaterDocuments
import SQLiteDriver

/// What stopped a command: a code for programs, and a message that says what happened and what to do.
struct Failure: Error, Sendable {
  let code: String
  let message: String
  /// Why a write would be void.
  let reason: String?
  let exitCode: Int32

  init(_ code: String, _ message: String, reason: String? = nil, exitCode: Int32 = 2) {
    self.code = code
    self.message = message
    self.reason = reason
    self.exitCode = exitCode
  }

  /// The failure that an error of one of the libraries is; nil for any other error.
  init?(describing error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as StoreError:
      self.init(
        error.code.rawValue, error.message, reason: error.reason,
        exitCode: error.code == .refused ? 1 : 2)
    case let error as KeyStoreError: self.init(error.code.rawValue, error.message)
    case let error as SourceError: self.init("source", error.message)
    case let error as AdapterError: self.init(error.code.rawValue, error.message)
    case let error as MirrorError: self.init(error.code.rawValue, error.message)
    case let error as ValueError: self.init("invalid", error.description)
    case let error as RecordError: self.init("invalid", error.description)
    case let error as JSONError: self.init("invalid", error.description)
    case let error as BundleError: self.init("bundle", error.message)
    case let error as QueryError: self.init("query", error.message)
    case let error as SQLiteError: self.init("sqlite", error.message)
    case is CancellationError: self.init("cancelled", "stopped before the end")
    default: return nil
    }
  }

  /// Says it on stderr, as JSON where the command was asked for JSON.
  func report() {
    if CommandLine.arguments.contains("--json") {
      var line = JSONLine()
      line.object("error") { write(into: &$0) }
      Output.error.write(line.finish())
    } else {
      Output.error.say("headwater: \(message)")
    }
  }

  /// The members of the form `error`.
  func write(into line: inout JSONLine, line number: Int? = nil) {
    line.string("code", code)
    if let reason { line.string("reason", reason) }
    line.string("message", message)
    if let number { line.int("line", Int64(number)) }
  }
}

extension ExitCode {
  /// Done, and the answer is no.
  static let no = ExitCode(1)
  /// Bad input, which the command has already reported.
  static let badInput = ExitCode(2)
}
