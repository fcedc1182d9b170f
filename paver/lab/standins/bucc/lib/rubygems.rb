# frozen_string_literal: true

# Loaded instead of RubyGems, which the script asks for that the bosh CLI starts for each template: nothing that the lab's
# templates need is a gem.
