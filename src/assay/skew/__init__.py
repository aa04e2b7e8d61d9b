"""Does serving compute what training did? Rows compared one by one, differences named by their shape."""
