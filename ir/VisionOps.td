//===- VisionOps.td - images between their pixels and under their regions -===//
#ifndef QUERN_IR_VISIONOPS_TD
#define QUERN_IR_VISIONOPS_TD

include "ir/NNBase.td"

def NN_GridSampleOp : NN_Op<"grid_sample", [NN_WideFloatsOnly]> {
  let summary = "`input` at places between its pixels";
  let description = [{
    `input`: [N, C, spatial...]; `points`: [N, any..., r] of places in pixels, of which 0 is the
    centre of the first, the last spatial axis first (x, y, z); the result is [N, C, any...].
    Beyond the image `padding` counts: `constant` is 0; `reflect` turns at the outer pixels'
    centres with `align_corners`, else at their edges.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$points, NN_ResizeModeAttr:$mode,
    NN_PadModeAttr:$padding, BoolAttr:$align_corners);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = [{
    `` $mode `(` `` $padding `)` operands attr-dict `:` functional-type(operands, results)
  }];
}

def NN_RoiPoolOp : NN_Op<"roi_pool", [NN_WideFloatsOnly]> {
  let summary = "pools regions of images to one size";
  let description = [{
    `input`: [N, C, height, width]; `rois`: [R, 4] of (x1, y1, x2, y2), times `spatial_scale`;
    `images`: [R], the image of each. A bin is pooled from `sampling_ratio` squared samples
    (0: one a pixel) between pixels, the largest or the mean; with `whole_pixels`
    from the pixels that it touches (ONNX MaxRoiPool). `half_pixel`: corners of pixels, not
    centres, have whole coordinates.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$rois, NN_Tensor:$images,
    NN_ReduceKindAttr:$kind, NN_IntAttr:$height, NN_IntAttr:$width, F64Attr:$spatial_scale,
    NN_IntAttr:$sampling_ratio, BoolAttr:$half_pixel, BoolAttr:$whole_pixels);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`` $kind operands attr-dict `:` functional-type(operands, results)";
}

def NN_Col2ImOp : NN_Op<"col2im", [NN_WideFloatsOnly]> {
  let summary = "sums up the windows of an image: what unfolding it takes apart";
  let description = [{
    `input`: [N, C * block..., positions]; `image_shape` and `block_shape` are the spatial
    sizes of the result, [N, C, image...], and of a window. Empty attributes stand for
    strides and dilations of 1 and no pads.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$image_shape, NN_Tensor:$block_shape,
    DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads);
  let results = (outs NN_Tensor:$result);
}

#endif // QUERN_IR_VISIONOPS_TD
