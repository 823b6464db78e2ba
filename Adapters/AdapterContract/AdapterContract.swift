import HeadwaterModel
import HeadwaterStream

/// What every adapter has to do, case by case.
///
/// Each case makes a fresh sink, plays a source and a mirror against the adapter, and throws a
/// `ContractViolation` that says what was expected and what was found. Run them one by one from any test
/// framework; they are independent of each other and may run at the same time.
public enum AdapterContract {
  /// One thing to do.
  public struct Case: Sendable, CustomStringConvertible {
    /// Short and stable, to be named on a command line: `snapshot.interrupted`.
    public let name: String
    /// What the adapter must do, in a sentence.
    public let summary: String
    private let body: @Sendable (ContractRun) async throws -> Void

    init(
      _ name: String, _ summary: String,
      _ body: @escaping @Sendable (ContractRun) async throws -> Void
    ) {
      self.name = name
      self.summary = summary
      self.body = body
    }

    public var description: String { name }

    /// Runs the case on sinks of their own.
    ///
    /// - Throws: `ContractViolation`; or what the subject throws.
    @discardableResult
    public func run(on subject: any ContractSubject) async throws -> Outcome {
      let run = ContractRun(subject: subject)
      do {
        try await body(run)
        await run.discard()
        return .passed
      } catch let skip as ContractSkip {
        await run.discard()
        return .skipped(skip.reason)
      } catch let violation as ContractViolation {
        await run.discard()
        throw ContractViolation("\(name): \(violation.description)")
      } catch {
        await run.discard()
        throw error
      }
    }
  }

  /// How a case ended that found nothing wrong.
  public enum Outcome: Sendable, Hashable {
    case passed
    /// The subject lacks what the case needs.
    case skipped(String)
  }

  /// Every case.
  public static let cases: [Case] =
    startCases + snapshotCases + fenceCases + restoreCases + generationCases + rowCases
    + uniqueCases + largeCases + valueCases + textCases + nameCases + schemaCases + inventoryCases
    + randomCases

  /// The case with that name.
  public static func `case`(named name: String) -> Case? { cases.first { $0.name == name } }
}

/// Thrown by a case that the subject cannot run.
struct ContractSkip: Error {
  let reason: String
}
