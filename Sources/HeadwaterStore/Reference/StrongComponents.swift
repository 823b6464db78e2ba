/// The strongly connected components of a directed graph (Tarjan, without recursion).
struct StrongComponents {
  private let edges: [Int: [Int]]
  private var numbers: [Int: Int] = [:]
  private var components: [[Int]] = []

  init(_ edges: [Int: [Int]]) { self.edges = edges }

  /// The component of a node that was found.
  func number(of node: Int) -> Int? { numbers[node] }

  /// All components that can be reached from those nodes.
  mutating func find(from roots: [Int]) -> [[Int]] {
    var discovered: [Int: Int] = [:]
    var lowest: [Int: Int] = [:]
    var open: [Int] = []
    for root in roots where discovered[root] == nil {
      discovered[root] = discovered.count
      lowest[root] = discovered[root]
      open.append(root)
      var path = [(node: root, next: 0)]
      while let (node, next) = path.last {
        let targets = edges[node] ?? []
        if next < targets.count {
          path[path.count - 1].next += 1
          let target = targets[next]
          if discovered[target] == nil {
            discovered[target] = discovered.count
            lowest[target] = discovered[target]
            open.append(target)
            path.append((target, 0))
          } else if numbers[target] == nil {
            lowest[node] = min(lowest[node]!, discovered[target]!)
          }
        } else {
          path.removeLast()
          if let parent = path.last?.node { lowest[parent] = min(lowest[parent]!, lowest[node]!) }
          guard lowest[node] == discovered[node] else { continue }
          var component: [Int] = []
          repeat {
            component.append(open.removeLast())
            numbers[component.last!] = components.count
          } while component.last != node
          components.append(component)
        }
      }
    }
    return components
  }
}
