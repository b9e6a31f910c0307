#include "cuda/cudnn_library.h"

#include <unordered_map>

#include "core/error.h"
#include "cuda/runtime.h"

namespace pynn::cuda {

Cudnn::Cudnn() {
  library.find(api.version, "cudnnGetVersion");
  library.find(api.error_string, "cudnnGetErrorString");
  library.find(api.create, "cudnnCreate");
  library.find(api.set_stream, "cudnnSetStream");
  library.find(api.tensor_create, "cudnnCreateTensorDescriptor");
  library.find(api.tensor_destroy, "cudnnDestroyTensorDescriptor");
  library.find(api.tensor_set, "cudnnSetTensorNdDescriptor");
  library.find(api.filter_create, "cudnnCreateFilterDescriptor");
  library.find(api.filter_destroy, "cudnnDestroyFilterDescriptor");
  library.find(api.filter_set, "cudnnSetFilterNdDescriptor");
  library.find(api.conv_create, "cudnnCreateConvolutionDescriptor");
  library.find(api.conv_destroy, "cudnnDestroyConvolutionDescriptor");
  library.find(api.conv_set, "cudnnSetConvolutionNdDescriptor");
  library.find(api.conv_set_math, "cudnnSetConvolutionMathType");
  library.find(api.conv_set_groups, "cudnnSetConvolutionGroupCount");
  library.find(api.choose_forward, "cudnnGetConvolutionForwardAlgorithm_v7");
  library.find(api.choose_input, "cudnnGetConvolutionBackwardDataAlgorithm_v7");
  library.find(api.choose_weight, "cudnnGetConvolutionBackwardFilterAlgorithm_v7");
  library.find(api.time_forward, "cudnnFindConvolutionForwardAlgorithmEx");
  library.find(api.time_input, "cudnnFindConvolutionBackwardDataAlgorithmEx");
  library.find(api.time_weight, "cudnnFindConvolutionBackwardFilterAlgorithmEx");
  library.find(api.run_forward, "cudnnConvolutionForward");
  library.find(api.run_input, "cudnnConvolutionBackwardData");
  library.find(api.run_weight, "cudnnConvolutionBackwardFilter");
  library.find(api.dropout_create, "cudnnCreateDropoutDescriptor");
  library.find(api.dropout_destroy, "cudnnDestroyDropoutDescriptor");
  library.find(api.dropout_set, "cudnnSetDropoutDescriptor");
  library.find(api.rnn_create, "cudnnCreateRNNDescriptor");
  library.find(api.rnn_destroy, "cudnnDestroyRNNDescriptor");
  library.find(api.rnn_set, "cudnnSetRNNDescriptor_v8");
  library.find(api.sequence_create, "cudnnCreateRNNDataDescriptor");
  library.find(api.sequence_destroy, "cudnnDestroyRNNDataDescriptor");
  library.find(api.sequence_set, "cudnnSetRNNDataDescriptor");
  library.find(api.rnn_space, "cudnnGetRNNTempSpaceSizes");
  library.find(api.rnn_weight_space, "cudnnGetRNNWeightSpaceSize");
  library.find(api.rnn_weight, "cudnnGetRNNWeightParams");
  library.find(api.rnn_forward, "cudnnRNNForward");
  library.find(api.rnn_backward, "cudnnRNNBackwardData_v8");
  library.find(api.rnn_backward_weights, "cudnnRNNBackwardWeights_v8");
}

Cudnn& cudnn() {
  static auto& one = *new Cudnn;
  return one;
}

void check_dnn(dnn::Status status, const char* op, const char* what) {
  PYNN_CHECK(status == 0, op, ": cuDNN failed, ", what, ": ", cudnn().api.error_string(status));
}

DnnHandle::DnnHandle() {
  static auto& mutex = *new std::mutex;
  static auto& handles = *new std::unordered_map<int, dnn::Handle>;
  lock_ = std::unique_lock(mutex);
  dnn::Handle& handle = handles[accelerator->current_device()];
  if (!handle) check_dnn(cudnn().api.create(&handle), "cuDNN", "cudnnCreate");
  check_dnn(cudnn().api.set_stream(handle, current_stream()), "cuDNN", "the stream");
  handle_ = handle;
}

int dnn_type(DType t) {
  return t == DType::Float64    ? dnn::kDouble
         : t == DType::Float16  ? dnn::kHalf
         : t == DType::BFloat16 ? dnn::kBFloat16
                                : dnn::kFloat;
}

int64_t cudnn_version() { return cudnn().library.loaded() ? static_cast<int64_t>(cudnn().api.version()) : 0; }

std::string describe_cudnn() {
  const Cudnn& c = cudnn();
  if (!c.library.loaded()) return "not found: " + c.library.why();
  const size_t v = c.api.version();  // 91002 is 9.10.2
  return concat(v / 10000, ".", v / 100 % 100, ".", v % 100, " (", c.library.name(), ")");
}

}  // namespace pynn::cuda
