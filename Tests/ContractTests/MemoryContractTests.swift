import AdapterContract
import HeadwaterMemory
import HeadwaterStream
import Testing

struct MemorySubject: ContractSubject {
  struct Sink: ContractSink {
    let adapter: MemoryAdapter

    // There is one process only, and the memory is the sink.
    func open() async throws -> any Adapter { adapter }
    func copy() async throws -> (any ContractSink)? { Sink(adapter: adapter.copy()) }
  }

  func makeSink() async throws -> any ContractSink { Sink(adapter: MemoryAdapter()) }
}

@Test(arguments: AdapterContract.cases)
func `the memory adapter keeps the contract`(_ item: AdapterContract.Case) async throws {
  let outcome = try await item.run(on: MemorySubject())
  if !item.name.hasSuffix(".crash-within") { #expect(outcome == .passed) }
}
