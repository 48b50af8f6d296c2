import protobuf from 'protobufjs';

/** The few messages of ONNX (onnx/onnx.proto) that a graph of a node or two needs, with the fields that are set here. */
const SCHEMA = `
syntax = "proto3";
message Attribute { string name = 1; float f = 2; int64 i = 3; bytes s = 4; int32 type = 20; }
message Node { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4; repeated Attribute attribute = 5; string domain = 7; }
message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
message Dimension { int64 dim_value = 1; string dim_param = 2; }
message Shape { repeated Dimension dim = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message Type { TensorType tensor_type = 1; }
message Value { string name = 1; Type type = 2; }
message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated Value input = 11; repeated Value output = 12; }
message OperatorSet { string domain = 1; int64 version = 2; }
message Model { int64 ir_version = 1; Graph graph = 7; repeated OperatorSet opset_import = 8; }
`;

/** Numbers of ONNX's element types. */
export const ELEMENT_TYPES = { float32: 1, uint8: 2, float16: 10 } as const;

export type ElementType = keyof typeof ELEMENT_TYPES;

export interface Constant {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView<ArrayBuffer>;
}

export interface Node {
  readonly operator: string;
  /** Default: ONNX's own. */
  readonly domain?: string;
  /** An empty name leaves an optional input out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number | string>>;
  /** Names of attributes that are floating-point numbers; other numbers are whole. */
  readonly floats?: readonly string[];
}

/** An input or output of the graph; names in its shape are dimensions that each run may choose. */
export interface Value {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string)[];
}

export interface Graph {
  readonly nodes: readonly Node[];
  readonly constants: readonly Constant[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** The bytes of an ONNX model. */
export function encodeOnnx({ nodes, constants, inputs, outputs }: Graph): Uint8Array {
  const model = protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType('Model');
  const value = ({ name, type, shape }: Value) => ({
    name,
    type: { tensor_type: { elem_type: ELEMENT_TYPES[type], shape: { dim: shape.map((size) => (typeof size === 'number' ? { dim_value: size } : { dim_param: size })) } } },
  });
  return model
    .encode({
      ir_version: 8,
      opset_import: [{ domain: '', version: 17 }, { domain: 'com.microsoft', version: 1 }],
      graph: {
        name: 'graph',
        node: nodes.map(({ operator, domain = '', inputs: from, outputs: to, attributes = {}, floats = [] }) => ({
          op_type: operator,
          name: operator,
          domain,
          input: from,
          output: to,
          attribute: Object.entries(attributes).map(([name, given]) => attribute(name, given, floats.includes(name))),
        })),
        initializer: constants.map(({ name, type, shape, data }) => ({
          name,
          data_type: ELEMENT_TYPES[type],
          dims: shape,
          raw_data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
        })),
        input: inputs.map(value),
        output: outputs.map(value),
      },
    })
    .finish();
}

/** `type` tells which of the fields is meant: 1 float, 2 whole number, 3 text. */
function attribute(name: string, value: number | string, isFloat: boolean): object {
  if (typeof value === 'string') return { name, type: 3, s: new TextEncoder().encode(value) };
  return isFloat ? { name, type: 1, f: value } : { name, type: 2, i: value };
}
