#include "agon/llm/constrain/regex.h"

namespace agon::llm::constrain {

Network::State Regex::add_to(Network& network, Network::State from, Writer write) const {
  return add(network, root_, from, write);
}

// Recursion is as deep as the tree, which the parser bounds.
Network::State Regex::add(Network& network, std::uint32_t index, Network::State from, Writer write) const {
  const Node& node = nodes_[index];
  if (!network.ok()) return from;
  switch (node.kind) {
    case Kind::kNothing: {
      // A state even so: a repetition of nothing then reaches the limit on states as any other does.
      const Network::State to = network.add();
      network.nothing(from, to);
      return to;
    }
    case Kind::kSet: {
      const Network::State to = network.add();
      write(network, sets_[node.parts[0]], from, to);
      return to;
    }
    case Kind::kSequence:
      for (const std::uint32_t part : node.parts) from = add(network, part, from, write);
      return from;
    case Kind::kEither: {
      const Network::State to = network.add();
      for (const std::uint32_t part : node.parts) network.nothing(add(network, part, from, write), to);
      return to;
    }
    case Kind::kRepeat: {
      for (std::uint32_t i = 0; i < node.least && network.ok(); ++i)
        from = add(network, node.parts[0], from, write);
      const Network::State to = network.add();
      if (node.most == kUnbounded) {
        const Network::State loop = network.add();
        network.nothing(from, loop);
        network.nothing(add(network, node.parts[0], loop, write), loop);
        network.nothing(loop, to);
        return to;
      }
      for (std::uint32_t i = node.least; i < node.most && network.ok(); ++i) {
        network.nothing(from, to);
        // From a state of its own, into which no loop inside the part leads back.
        const Network::State begin = network.add();
        network.nothing(from, begin);
        from = add(network, node.parts[0], begin, write);
      }
      network.nothing(from, to);
      return to;
    }
  }
  return from;
}

}  // namespace agon::llm::constrain
