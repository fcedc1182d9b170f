# frozen_string_literal: true

# Renders the ERB templates of jobs as a director does: on stdin the jobs (JSON), on stdout what failed.
# Only `spec`, `p`, `if_p` and `properties` are there; `link` is not, for none of the lab's jobs has links.

require 'digest'
require 'erb'
require 'fileutils'
require 'json'
require 'ostruct'

class UnknownProperty < StandardError
  def initialize(names)
    super("Can't find property '#{names.inspect}'")
  end
end

class Otherwise
  def initialize(context, active)
    @context = context
    @active = active
  end

  def else
    yield if @active
  end

  def else_if_p(*names, &block)
    return Otherwise.new(@context, false) unless @active

    @context.if_p(*names, &block)
  end
end

class Context
  attr_reader :spec, :raw_properties, :name, :index

  def initialize(job)
    @raw_properties = job['properties']
    @spec = open_struct(job['spec'])
    @name = job['spec']['name']
    @index = job['spec']['index']
  end

  def properties
    open_struct(@raw_properties)
  end

  def p(names, *default)
    Array(names).each do |name|
      value = lookup(name)
      return value unless value.nil?
    end
    return default.first unless default.empty?

    raise UnknownProperty, Array(names)
  end

  def if_p(*names)
    values = names.map { |name| lookup(name) }
    return Otherwise.new(self, true) if values.any?(&:nil?)

    yield(*values)
    Otherwise.new(self, false)
  end

  def link(name)
    raise "Can't find link '#{name}'"
  end

  def environment
    binding
  end

  private

  def lookup(name)
    name.split('.').reduce(@raw_properties) { |value, key| value.is_a?(Hash) ? value[key] : nil }
  end

  def open_struct(value)
    case value
    when Hash then OpenStruct.new(value.transform_values { |entry| open_struct(entry) })
    when Array then value.map { |entry| open_struct(entry) }
    else value
    end
  end
end

errors = JSON.parse($stdin.read).map do |job|
  failed = job['templates'].map do |source, target|
    template = ERB.new(File.read(File.join(job['folder'], source)), trim_mode: '-')
    template.filename = source
    text = template.result(Context.new(job).environment)
    path = File.join(job['out'], target)
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, text)
    File.chmod(target.start_with?('bin/') ? 0o755 : 0o600, path)
    nil
  rescue StandardError, SyntaxError => e
    line = e.backtrace&.find { |entry| entry.start_with?("#{source}:") }.to_s.split(':')[1] || 'unknown'
    "Error filling in template '#{File.basename(source)}' (line #{line}: #{e.message})"
  end
  { 'job' => job['spec']['job'], 'group' => job['spec']['name'], 'errors' => failed.compact }
end
puts JSON.dump(errors.reject { |entry| entry['errors'].empty? })
