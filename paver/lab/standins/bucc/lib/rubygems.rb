# frozen_string_literal: true

# Loaded instead of RubyGems: nothing that the lab's templates need is a gem.
