"""The page that `demo` serves and `walkthrough` saves: a network as a graph, with every number explained."""
